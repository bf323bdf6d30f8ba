"""The built-in forge as a whole world without another forge: what its people do, through their commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcp_ashigaru.commands.forge import app
from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.stores import open_forge
from runner.adapters.local_forge import LocalForge
from runner.errors import BadIntent, NotPossible, RunnerError, UnknownRepo
from runner.model import CheckState, MergeRefused, PullDraft, PullState, RequiredCheck, ReviewedHead
from runner.remarks import RemarkKind, Stance
from tests.git_rig import commit_all, git, make_repository, write

REPO = "widgets"
Say = Callable[..., str]


@pytest.fixture
def say(state: Path) -> Say:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, arguments, env={"ASHIGARU_STATE_DIR": str(state)})
        if isinstance(done.exception, RunnerError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.fixture
def forge(state: Path, say: Say, tmp_path: Path) -> LocalForge:
    """With one pull request, number 1, of a branch that changes the file `a`."""
    work = tmp_path / REPO
    make_repository(work, {"a": "one\ntwo\n", "b": "two\n"})
    say("add", str(work))
    git(work, "checkout", "--quiet", "-b", "work")
    write(work, {"a": "changed\ntwo\n"})
    commit_all(work)
    git(work, "push", "--quiet", str(state / "forge" / f"{REPO}.git"), "work")
    made = open_forge(load_settings(state_dir=state))
    words = PullDraft(
        repo=REPO, head_branch="work", base_branch="main", title="Fix it", body="Why.", draft=True, labels=("ashigaru",)
    )
    made.open_pull(words)
    return made


def head(forge: LocalForge) -> str:
    pull = forge.pull(REPO, 1)
    assert pull is not None
    return pull.head_sha


def test_people_talk_of_a_pull_request_and_ashigaru_answers(forge: LocalForge, say: Say) -> None:
    first = say("comment", REPO, "1", "Why not two?").strip()
    second = say("comment", REPO, "1", "Spell it out.", "--path", "a", "--line", "1", "--author", "bob").strip()
    third = say("review", REPO, "1", "request-changes", "Not yet.").strip()
    fourth = say("comment", REPO, "1", "So do I.", "--reply", second).strip()
    say("review", REPO, "1", "approve")
    told = forge.remarks(REPO, 1)
    assert [remark.id for remark in told] == [first, second, third, fourth]
    assert [remark.author for remark in told] == ["operator", "bob", "operator", "operator"]
    assert [remark.kind for remark in told] == [RemarkKind.COMMENT, RemarkKind.LINE, RemarkKind.REVIEW, RemarkKind.LINE]
    assert told[2].stance is Stance.CHANGES_REQUESTED
    assert all(remark.may_ask for remark in told)
    forge.say(REPO, 1, "r1", "Spelt out.", remark=fourth)
    shown = say("show", REPO, "1")
    for word in ("Fix it", "a draft", "labels: ashigaru", "approves", "Spelt out.", f"in the thread of {second}"):
        assert word in shown


def test_a_request_for_changes_needs_no_text_to_be_heard(forge: LocalForge, say: Say) -> None:
    say("review", REPO, "1", "request-changes")
    (remark,) = forge.remarks(REPO, 1)
    assert (remark.stance, remark.body) == (Stance.CHANGES_REQUESTED, "")


def test_a_ci_of_one_s_own_reports_with_a_log(forge: LocalForge, say: Say, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"start\n" + b"x" * 300_000 + b"\xff\nE  one is not two\n")
    say("check", REPO, head(forge), "test", "pending", "--source", "nightly")
    say("check", REPO, head(forge), "test", "failed", "--source", "nightly", "--log", str(log), "--summary", "1 failed")
    (check,) = forge.checks(REPO, head(forge))
    assert (check.name, check.source, check.state) == ("test", "nightly", CheckState.FAILED)
    assert forge.check_log(REPO, check, 18) == "E  one is not two\n"
    kept = forge.check_log(REPO, check, 10_000_000)
    assert 250_000 < len(kept) <= 256 * 1024
    assert "failed  test (nightly)  1 failed" in say("show", REPO, "1")


def test_what_a_branch_requires_is_set_as_a_whole(forge: LocalForge, say: Say) -> None:
    say("require", REPO, "main", "test", "lint", "test")
    assert forge.required_checks(REPO, "main") == (RequiredCheck(name="lint"), RequiredCheck(name="test"))
    say("require", REPO, "main")
    assert forge.required_checks(REPO, "main") == ()


def test_a_closed_pull_request_can_be_closed_again_and_still_shows_its_diff(forge: LocalForge, say: Say) -> None:
    before = forge.diff(REPO, 1)
    for _ in range(2):
        say("close", REPO, "1")
    pull = forge.pull(REPO, 1)
    assert pull is not None
    assert pull.state is PullState.CLOSED
    assert forge.diff(REPO, 1) == before
    assert "closed" in say("pulls", REPO)


def test_a_merged_pull_request_is_not_closed(forge: LocalForge, say: Say, state: Path) -> None:
    reviewed = the_head(forge, state)
    assert not isinstance(forge.merge(reviewed, "Fix it", ""), MergeRefused)
    with pytest.raises(NotPossible):
        say("close", REPO, "1")


def test_the_pull_requests_of_a_repository_are_listed(forge: LocalForge, say: Say) -> None:
    assert forge.repos() == (REPO,)
    assert say("pulls", REPO) == "#1  draft   work -> main  Fix it\n"


def test_a_label_is_put_on_and_taken_off(forge: LocalForge, say: Say) -> None:
    say("label", REPO, "1", "urgent")
    assert forge.operator.talk(REPO, 1).labels == ("ashigaru", "urgent")
    say("label", REPO, "1", "urgent", "--drop")
    assert forge.operator.talk(REPO, 1).labels == ("ashigaru",)


def the_head(forge: LocalForge, state: Path) -> ReviewedHead:
    pull = forge.pull(REPO, 1)
    assert pull is not None
    listed = git(state / "forge" / f"{REPO}.git", "merge-tree", "--write-tree", pull.base_sha, pull.head_sha)
    tree = listed.splitlines()[0]
    return ReviewedHead(repo=REPO, pull=1, head_sha=pull.head_sha, base_sha=pull.base_sha, tree=tree)


@pytest.mark.parametrize("source", ["", "--source=nightly"])
def test_nothing_is_merged_before_the_required_checks_passed(
    forge: LocalForge, say: Say, state: Path, source: str
) -> None:
    report = ("check", REPO, head(forge), "test", *([source] if source else []))
    say("require", REPO, "main", "test")
    for told in (None, "pending", "failed", "stalled"):
        if told is not None:
            say(*report, told)
        refused = forge.merge(the_head(forge, state), "Fix it", "")
        assert isinstance(refused, MergeRefused)
        assert "test" in refused.reason
    pull = forge.pull(REPO, 1)
    assert pull is not None
    assert pull.draft
    say(*report, "passed")
    assert not isinstance(forge.merge(the_head(forge, state), "Fix it", ""), MergeRefused)


REFUSED: dict[str, tuple[type[RunnerError], tuple[str, ...]]] = {
    "no text": (BadIntent, ("comment", REPO, "1", "  ")),
    "our name": (BadIntent, ("comment", REPO, "1", "x", "--author", "ashigaru")),
    "a name of two lines": (BadIntent, ("comment", REPO, "1", "x", "--author", "a\nb")),
    "too long": (BadIntent, ("comment", REPO, "1", "x" * 65_537)),
    "a path without a line": (BadIntent, ("comment", REPO, "1", "x", "--path", "a")),
    "a line and an answer": (BadIntent, ("comment", REPO, "1", "x", "--path=a", "--line=1", "--reply=line:1")),
    "no such file": (NotPossible, ("comment", REPO, "1", "x", "--path", "none", "--line", "1")),
    "a directory": (NotPossible, ("comment", REPO, "1", "x", "--path", ".", "--line", "1")),
    "no such line": (NotPossible, ("comment", REPO, "1", "x", "--path", "a", "--line", "3")),
    "line nought": (NotPossible, ("comment", REPO, "1", "x", "--path", "a", "--line", "0")),
    "no such remark": (NotPossible, ("comment", REPO, "1", "x", "--reply", "comment:99")),
    "no id": (NotPossible, ("comment", REPO, "1", "x", "--reply", "99; drop")),
    "no such pull request": (NotPossible, ("comment", REPO, "9", "x")),
    "nothing to show": (NotPossible, ("show", REPO, "9")),
    "no such repository": (UnknownRepo, ("pulls", "nowhere")),
    "a review that says nothing": (BadIntent, ("review", REPO, "1", "comment")),
    "a branch name as a commit": (BadIntent, ("check", REPO, "work", "test", "passed")),
    "no such commit": (NotPossible, ("check", REPO, "1" * 40, "test", "passed")),
    "our own source": (BadIntent, ("check", REPO, "HEAD", "test", "passed", "--source", "ashigaru")),
    "a check without a name": (BadIntent, ("check", REPO, "HEAD", " ", "passed")),
    "no log": (BadIntent, ("check", REPO, "HEAD", "test", "passed", "--log", "/nowhere/log")),
    "too many checks": (BadIntent, ("require", REPO, "main", *(f"c{n}" for n in range(51)))),
    "a label of two lines": (BadIntent, ("label", REPO, "1", "a\nb")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_with_a_cure(forge: LocalForge, say: Say, case: str) -> None:
    fault, arguments = REFUSED[case]
    with pytest.raises(fault) as refused:
        say(*(head(forge) if word == "HEAD" else word for word in arguments))
    assert str(refused.value).endswith(".")
    assert forge.remarks(REPO, 1) == ()
    assert forge.checks(REPO, head(forge)) == ()
