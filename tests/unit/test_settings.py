"""What the daemon can be told, and how it says what is wrong."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from mcp_ashigaru.listening import refuse_an_open_door
from mcp_ashigaru.settings import ConfigError, Settings, known_variables, load_settings, variable_of
from runner.watchdogs import Watchdogs

SECRETS = (
    "ANTHROPIC_API_KEY",
    "ASHIGARU_GITHUB_TOKEN",
    "ASHIGARU_GITHUB_WEBHOOK_SECRET",
    "ASHIGARU_MCP_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
)
DOCS = Path(__file__).parents[2] / "docs" / "operate.md"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOME", "/home/someone")
    return "/home/someone"


def refused(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as said:
        load_settings()
    sentence = str(said.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    assert len(sentence) < 220
    return sentence


def test_with_nothing_set_it_serves_on_loopback_and_keeps_its_state_below_home(home: str) -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.bearer) == ("127.0.0.1", 8020, None)
    assert settings.state_dir == Path(home, ".local", "state", "ashigaru")
    assert settings.url == settings.local_url == "http://127.0.0.1:8020"


def test_every_variable_is_in_the_one_table_and_the_table_has_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == {variable_of(field) for field in Settings.model_fields}
    assert known_variables() == set(rows) | {f"{name}_FILE" for name in SECRETS}


@pytest.mark.parametrize(
    ("typo", "cure"),
    [
        ("ASHIGARU_STATEDIR", "ASHIGARU_STATE_DIR"),
        ("ASHIGARU_MCP_TOKENFILE", "ASHIGARU_MCP_TOKEN_FILE"),
        ("ASHIGARU_ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"),
        ("ASHIGARU_SLOT", "ASHIGARU_SLOTS"),
        ("ASHIGARU_QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ", "docs/operate.md"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, typo: str, cure: str
) -> None:
    sentence = refused(monkeypatch, **{typo: "1"})
    assert typo in sentence
    assert cure in sentence


def test_what_the_tests_are_told_is_no_setting_and_no_typo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHIGARU_TEST_PODMAN_URL", "unix:///nowhere")
    monkeypatch.setenv("ASHIGARU_REQUIRE_PODMAN", "1")
    load_settings()


@pytest.mark.parametrize(
    ("name", "value", "about"),
    [
        ("ASHIGARU_PORT", "eighty", "integer"),
        ("ASHIGARU_PORT", "70000", "65535"),
        ("ASHIGARU_SLOTS", "0", "1"),
        ("ASHIGARU_LOG_LEVEL", "loud", "debug"),
        ("ASHIGARU_LADDER", "sonnet", "JSON"),
        ("ASHIGARU_LADDER", "[]", "at least one tier"),
        ("ASHIGARU_LADDER", '[{"name": "a"}]', "model"),
        ("ASHIGARU_PRICES", '{"claude": {"input": -1}}', "input"),
        ("ASHIGARU_REPOS", "[1", ""),
        ("ASHIGARU_SETUP_ENVIRONMENT", "A=b", "JSON"),
        ("ASHIGARU_STATE_DIR", "/" + "x" * 80, "70"),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, about: str
) -> None:
    sentence = refused(monkeypatch, **{name: value})
    assert about in sentence
    assert name in sentence


def test_an_effort_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tier = {"name": "a", "model": "m", "max_turns": 1, "max_micro_usd": 1, "wall_s": 1, "idle_s": 1}
    assert "effort" in refused(monkeypatch, ASHIGARU_LADDER=json.dumps([tier | {"effort": "heroic"}]))
    monkeypatch.setenv("ASHIGARU_LADDER", json.dumps([tier | {"effort": "xhigh"}]))
    assert load_settings().ladder[0].effort == "xhigh"


def test_watchdogs_that_make_no_sense_are_refused_and_those_left_out_are_as_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tier = {"name": "a", "model": "m", "effort": "low", "max_turns": 1, "max_micro_usd": 1, "wall_s": 1, "idle_s": 1}
    given = tier | {"watchdogs": {"in_a_row": 1}}
    assert "tier a watchdogs" in refused(monkeypatch, ASHIGARU_LADDER=json.dumps([given]))
    given = tier | {"watchdogs": {"in_a_row": 0, "grace_s": 5}}
    monkeypatch.setenv("ASHIGARU_LADDER", json.dumps([given]))
    assert load_settings().ladder[0].watchdogs == Watchdogs(in_a_row=0, grace_s=5)


@pytest.mark.parametrize("given", ["a/b,c", "a/b c", '["a/b", "c"]', " a/b ,\tc "])
def test_a_list_may_be_written_with_commas_spaces_or_as_json(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("ASHIGARU_REPOS", given)
    assert load_settings().repos == ("a/b", "c")


@pytest.mark.parametrize("variable", ["ASHIGARU_MCP_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"])
def test_a_secret_in_a_file_beats_the_plain_one_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    file = tmp_path / "secret"
    file.write_text("from-file\n", encoding="utf-8")
    file.chmod(0o600)
    monkeypatch.setenv(variable, "from-variable")
    assert "from-variable" not in repr(load_settings())
    monkeypatch.setenv(f"{variable}_FILE", str(file))
    settings = load_settings()
    assert "from-" not in repr(settings) + str(settings) + settings.model_dump_json()
    secrets = (settings.mcp_token, settings.anthropic_api_key, settings.claude_code_oauth_token)
    assert [one.get_secret_value() for one in secrets if one is not None] == ["from-file"]


def test_a_secret_file_that_others_can_read_is_used_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret", encoding="utf-8")
    monkeypatch.setenv("ASHIGARU_MCP_TOKEN_FILE", str(file))
    for mode, warnings in ((0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)):
        file.chmod(mode)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert load_settings().bearer == "s3cret"
        assert len(caplog.records) == warnings, oct(mode)
        assert "s3cret" not in caplog.text


def test_a_secret_file_that_is_not_there_or_is_empty_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "ASHIGARU_MCP_TOKEN_FILE" in refused(monkeypatch, ASHIGARU_MCP_TOKEN_FILE=str(tmp_path / "none"))
    (tmp_path / "empty").write_text(" \n", encoding="utf-8")
    assert "empty" in refused(monkeypatch, ASHIGARU_MCP_TOKEN_FILE=str(tmp_path / "empty"))


def test_an_empty_token_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHIGARU_MCP_TOKEN", "")
    assert load_settings().bearer is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "box.example"])  # noqa: S104 - to see it refused
def test_only_with_a_token_and_with_names_does_it_leave_loopback(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("ASHIGARU_HOST", host)
    with pytest.raises(ConfigError, match="ASHIGARU_MCP_TOKEN_FILE"):
        refuse_an_open_door(load_settings(), has_a_token=False)
    with pytest.raises(ConfigError, match="ASHIGARU_ALLOWED_HOSTS"):
        refuse_an_open_door(load_settings(), has_a_token=True)
    monkeypatch.setenv("ASHIGARU_ALLOWED_HOSTS", "gateway.example")
    refuse_an_open_door(load_settings(), has_a_token=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_on_loopback_neither_is_needed(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("ASHIGARU_HOST", host)
    refuse_an_open_door(load_settings(), has_a_token=False)


@pytest.mark.parametrize(
    ("host", "local"),
    [("0.0.0.0", "http://127.0.0.1:8020"), ("::", "http://[::1]:8020"), ("::1", "http://[::1]:8020")],  # noqa: S104 - same
)
def test_this_machine_reaches_a_daemon_that_listens_everywhere_on_loopback(
    monkeypatch: pytest.MonkeyPatch, host: str, local: str
) -> None:
    monkeypatch.setenv("ASHIGARU_MCP_TOKEN", "t")
    assert load_settings(host=host).local_url == local


def test_overrides_beat_the_environment_and_nothing_changes_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHIGARU_PORT", "1")
    settings = load_settings(port=2)
    assert settings.port == 2
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        ({}, "ASHIGARU_GITHUB_TOKEN_FILE"),
        ({"ASHIGARU_GITHUB_TOKEN": "t", "ASHIGARU_GITHUB_APP_ID": "1"}, "unset ASHIGARU_GITHUB_TOKEN"),
        ({"ASHIGARU_GITHUB_APP_ID": "1"}, "ASHIGARU_GITHUB_APP_KEY_FILE"),
        ({"ASHIGARU_GITHUB_APP_KEY_FILE": "/key"}, "ASHIGARU_GITHUB_APP_ID"),
        ({"ASHIGARU_GITHUB_TOKEN": "t", "ASHIGARU_GITHUB_URL": "http://ghe.example/api/v3"}, "https"),
        ({"ASHIGARU_GITHUB_TOKEN": "t", "ASHIGARU_GITHUB_URL": "https://me:secret@ghe.example"}, "https"),
    ],
)
def test_github_wants_one_identity_and_an_address_that_keeps_it(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], cure: str
) -> None:
    sentence = refused(monkeypatch, ASHIGARU_FORGE="github", **given)
    assert cure in sentence
    assert "secret" not in sentence


def test_what_the_shell_exports_for_another_program_is_not_the_daemon_s(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(monkeypatch, ASHIGARU_FORGE="github", GH_TOKEN="t", GITHUB_TOKEN="t")


def test_github_s_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKEN", "WEBHOOK_SECRET"):
        monkeypatch.setenv(f"ASHIGARU_GITHUB_{name}", "s3cret")
    assert "s3cret" not in repr(load_settings())
