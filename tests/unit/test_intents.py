"""What a caller may ask: everything odd is refused at the edge, in one sentence."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import BadIntent
from runner.intents import (
    MAX_BRIEF_CHARS,
    MAX_ISSUE,
    MAX_NOTES_CHARS,
    Cancel,
    Promote,
    RequestChanges,
    WorkTicket,
    cancel,
    promote,
    repo_name,
    request_changes,
    run_identity,
    work_ticket,
)

SHA = "0123456789abcdef0123456789abcdef01234567"


def sentence(refused: pytest.ExceptionInfo[BadIntent]) -> str:
    said = str(refused.value)
    assert "\n" not in said
    assert said.endswith(".")
    assert len(said) < 160
    assert all(unicodedata.category(ch) not in {"Cc", "Cf"} for ch in said)
    return said


def test_what_is_well_formed_is_taken_as_it_is() -> None:
    assert work_ticket("acme/widgets", 4, " Totals.\r\nAre off. \n", "opus[1m]") == WorkTicket(
        repo="acme/widgets", issue=4, brief="Totals.\nAre off.", model="opus[1m]"
    )
    assert promote("widgets", MAX_ISSUE, SHA) == Promote(repo="widgets", pull=MAX_ISSUE, head_sha=SHA)
    assert request_changes("widgets-1-abc", "More.") == RequestChanges(run_id="widgets-1-abc", notes="More.")
    assert cancel("w") == Cancel(run_id="w")


@pytest.mark.parametrize("name", ["widgets", "acme/widgets", "a", "0/1", "W.i-d_g", "a" * 100 + "/" + "b" * 100])
def test_a_repository_is_a_name_or_an_owner_and_a_name(name: str) -> None:
    assert repo_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "/",
        "a/",
        "/a",
        "a/b/c",
        "a//b",
        "..",
        "../a",
        "a/..",
        "a..b",
        ".a",
        "-a",
        "--upload-pack=x",
        "a/-b",
        "a.git",
        "a/b.git",
        "a.lock",
        "a.",
        "a b",
        "a\n",
        "a\x00",
        "a\\b",
        "a:b",
        "a@b",
        "ä",
        "a%2fb",
        "https://x/a",
        "a" * 101,
    ],
)
def test_what_is_no_repository_is_refused(name: str) -> None:
    with pytest.raises(BadIntent) as refused:
        repo_name(name)
    assert "repo" in sentence(refused)


@given(st.text(max_size=40))
def test_a_repository_that_is_taken_stays_below_the_folder_it_is_put_in(name: str) -> None:
    try:
        taken = repo_name(name)
    except BadIntent:
        return
    parts = taken.split("/")
    assert len(parts) <= 2
    assert all(part and part not in {".", ".."} and not part.startswith(("-", ".")) for part in parts)
    assert taken.isascii()
    assert taken.isprintable()
    assert " " not in taken


@given(st.text(max_size=80))
def test_a_run_that_is_taken_is_a_plain_word(value: str) -> None:
    try:
        taken = run_identity(value)
    except BadIntent:
        return
    assert taken == value
    assert set(taken) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not taken.startswith("-")
    assert len(taken) <= 64


@pytest.mark.parametrize("number", [0, -1, MAX_ISSUE + 1, -(2**70), 2**70])
def test_a_number_is_from_one_to_what_a_database_holds(number: int) -> None:
    with pytest.raises(BadIntent) as refused:
        work_ticket("widgets", number, "Totals.")
    assert "issue" in sentence(refused)
    with pytest.raises(BadIntent) as refused:
        promote("widgets", number)
    assert "pr " in sentence(refused)


@pytest.mark.parametrize(
    "hidden",
    ["\x00", "\x07", "\x1b[31m", "\u202e", "\u200b", "\u2066", "\ufeff", "\ud800", "\ue000", "\U000e0041", "\u2028"],
)
def test_text_that_hides_something_is_refused(hidden: str) -> None:
    with pytest.raises(BadIntent) as refused:
        work_ticket("widgets", 1, f"Totals{hidden} are off.")
    assert "brief" in sentence(refused)
    with pytest.raises(BadIntent) as refused:
        request_changes("w-1-a", f"More{hidden}.")
    assert "notes" in sentence(refused)


@pytest.mark.parametrize("text", ["Zwölf Boxkämpfer", "日本語", "👩\u200d💻 says so", "a\tb\nc", "\r\nwindows\r\n"])
def test_plain_text_of_any_language_is_taken(text: str) -> None:
    assert work_ticket("widgets", 1, text).brief == text.replace("\r\n", "\n").strip()


@pytest.mark.parametrize("text", ["", " \n\t ", "\r\n"])
def test_blank_text_is_refused(text: str) -> None:
    with pytest.raises(BadIntent) as refused:
        work_ticket("widgets", 1, text)
    assert "blank" in sentence(refused)


def test_text_has_a_length_to_keep_to() -> None:
    assert work_ticket("widgets", 1, "x" * MAX_BRIEF_CHARS)
    assert request_changes("w", "x" * MAX_NOTES_CHARS)
    with pytest.raises(BadIntent) as refused:
        work_ticket("widgets", 1, "x" * (MAX_BRIEF_CHARS + 1))
    assert str(MAX_BRIEF_CHARS) in sentence(refused)
    with pytest.raises(BadIntent) as refused:
        request_changes("w", "x" * (MAX_NOTES_CHARS + 1))
    assert str(MAX_NOTES_CHARS) in sentence(refused)


@pytest.mark.parametrize("model", ["", "-p", "--model", "a b", "a\n", "x" * 101, "ä", "$(id)"])
def test_a_model_is_a_name_and_never_a_flag(model: str) -> None:
    with pytest.raises(BadIntent) as refused:
        work_ticket("widgets", 1, "Totals.", model)
    assert "model" in sentence(refused)


@pytest.mark.parametrize("sha", ["", SHA[:12], SHA.upper(), SHA + "0", "main", "HEAD", SHA + "\n", "-" + SHA[1:]])
def test_a_head_is_a_whole_commit_id(sha: str) -> None:
    with pytest.raises(BadIntent) as refused:
        promote("widgets", 1, sha)
    assert "head_sha" in sentence(refused)
