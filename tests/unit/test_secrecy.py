"""A log line that would hold a secret names it instead, traces among them; and which secrets the settings hold."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from mcp_ashigaru.secrecy import Redacting, marked_of
from mcp_ashigaru.settings import ConfigError, load_settings
from mcp_ashigaru.state_dir import forge_secret
from runner.leaks import Marked

TOKEN = "ghp_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX"


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ash") as made:
        yield Path(made)


def test_a_line_and_a_trace_name_the_secret_in_its_place() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Redacting("%(levelname)s %(message)s", (Marked(name="the GitHub token", value=TOKEN),)))
    log = logging.getLogger("apart")
    log.propagate = False
    log.handlers = [handler]
    log.warning("pushed with %s", TOKEN)
    log.error("failed", exc_info=ValueError(TOKEN))
    told = out.getvalue()
    assert TOKEN not in told
    assert told.startswith("WARNING pushed with [redacted: the GitHub token]\n")
    assert "ValueError: [redacted: the GitHub token]" in told


def test_every_secret_of_the_settings_is_marked(state: Path, tmp_path: Path) -> None:
    key = tmp_path / "app.pem"
    key.write_text("-----BEGIN RSA PRIVATE KEY-----\nabc\n", encoding="utf-8")
    settings = load_settings(
        state_dir=state,
        mcp_token=SecretStr("a" * 20),
        github_token=SecretStr("b" * 20),
        github_webhook_secret=SecretStr("c" * 20),
        anthropic_api_key=SecretStr("d" * 20),
        claude_code_oauth_token=SecretStr("e" * 20),
    )
    marked = marked_of(settings.model_copy(update={"github_app_key_file": key}))
    secrets = {name for name, field in type(settings).model_fields.items() if "SecretStr" in str(field.annotation)}
    assert len(marked) == len(secrets) + 2, "the App's key, and the built-in forge's secret"
    assert forge_secret(settings.state_dir) in {one.value for one in marked}


def test_a_key_that_cannot_be_read_is_one_sentence(state: Path) -> None:
    settings = load_settings(state_dir=state).model_copy(update={"github_app_key_file": state / "none.pem"})
    with pytest.raises(ConfigError, match="ASHIGARU_GITHUB_APP_KEY_FILE"):
        marked_of(settings)
