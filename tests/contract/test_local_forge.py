"""What the local forge promises beside the port: adding, issues, a merge that was cut off, faults of the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from runner.adapters.forge_records import CheckRecord, PullRecord
from runner.adapters.forge_store import SqlForgeStore
from runner.adapters.local_forge import LocalForge
from runner.adapters.sql_engine import migrate, open_engine
from runner.errors import BadIntent, ForgeDown, NotPossible, RecordsFault
from runner.model import CheckState, Merged, MergeRefused, Pull, PullState, RequiredCheck, ReviewedHead
from runner.remarks import RemarkKind
from runner.talk import MAX_LOG_BYTES
from tests.contract.forge_rig import REPO, Local, draft, local_parts, source
from tests.git_rig import SECRET, commit_all, git, make_repository, write

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Local]:
    made = local_parts(tmp_path, "http://forge.test")
    yield made
    made.engine.dispose()


def test_any_git_repository_can_be_added(parts: Local, tmp_path: Path) -> None:
    work = source(tmp_path)
    git(work, "tag", "v1")
    git(work, "checkout", "--quiet", "-b", "trunk")
    git(work, "update-ref", "refs/notes/secret", "HEAD")
    assert parts.forge.add(str(work)) == "work"
    assert parts.forge.default_branch("work") == "trunk"
    bare = parts.root / "work.git"
    refs = git(bare, "for-each-ref", "--format=%(refname)").split()
    assert refs == ["refs/heads/main", "refs/heads/trunk", "refs/tags/v1"]
    assert not (bare / "hooks").exists()
    assert parts.forge.add(f"file://{work}", "acme/copy") == "acme/copy"
    with pytest.raises(NotPossible, match="case alone"):
        parts.forge.add(f"file://{work}", "acme/Copy")
    assert parts.forge.repos() == ("acme/copy", "work")


def test_adding_again_changes_nothing_and_another_source_is_refused(parts: Local, tmp_path: Path) -> None:
    work = source(tmp_path)
    parts.forge.add(str(work))
    before = git(parts.root / "work.git", "rev-parse", "main")
    write(work, {"c": "three\n"})
    commit_all(work)
    assert parts.forge.add(str(work)) == "work"
    assert git(parts.root / "work.git", "rev-parse", "main") == before
    make_repository(tmp_path / "other", {"x": "y"})
    with pytest.raises(NotPossible):
        parts.forge.add(str(tmp_path / "other"), "work")


def test_an_add_that_was_cut_off_is_finished_by_the_next(parts: Local, tmp_path: Path) -> None:
    work = source(tmp_path)
    parts.forge.add(str(work))
    with parts.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM forge_repos"))
    write(parts.root / ".incoming" / "left", {"over": "x"})
    assert parts.forge.add(str(work)) == "work"
    assert parts.forge.default_branch("work") == "main"


@pytest.mark.parametrize("bad", ["a.git/b", "../up", "a b", "-x", "", "a/b/c", "x.git", ".hidden"])
def test_a_name_that_is_no_name_is_refused(parts: Local, tmp_path: Path, bad: str) -> None:
    work = source(tmp_path)
    with pytest.raises(BadIntent):
        parts.forge.add(str(work), bad or "/")


@pytest.mark.parametrize("bad", ["ext::sh -c id", "ssh://host/x", "/nowhere/at/all", "git@host:x"])
def test_a_source_that_is_no_repository_here_or_on_the_web_is_refused(parts: Local, bad: str) -> None:
    with pytest.raises(BadIntent):
        parts.forge.add(bad, "name")


def test_a_repository_of_another_user_can_be_added(parts: Local, tmp_path: Path) -> None:
    work = source(tmp_path)
    if os.geteuid() == 0:
        for path in (work, *work.rglob("*")):
            os.chown(path, 12345, 12345)
    assert parts.forge.add(str(work)) == "work"


def test_a_directory_without_git_in_it_leaves_nothing_behind(parts: Local, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(ForgeDown):
        parts.forge.add(str(tmp_path / "plain"))
    assert parts.forge.repos() == ()
    assert not (parts.root / "plain.git").exists()


def test_an_empty_repository_is_refused(parts: Local, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--template=", "fresh")
    with pytest.raises(NotPossible):
        parts.forge.add(str(tmp_path / "fresh"))


def test_issues_and_pull_requests_share_their_numbers(parts: Local, tmp_path: Path) -> None:
    parts.forge.add(str(source(tmp_path)), REPO)
    first = parts.forge.create_issue(REPO, "It breaks", "when touched")
    git(parts.root / f"{REPO}.git", "branch", "work", "main")
    pull = parts.forge.open_pull(draft())
    last = parts.forge.create_issue(REPO, "Again")
    assert (first, pull.number, last) == (1, 2, 3)
    assert pull.url == "http://forge.test/forge/acme/widgets/pulls/2"
    issue = parts.forge.issue(REPO, 1)
    assert issue is not None
    assert (issue.title, issue.body) == ("It breaks", "when touched")
    assert parts.forge.issue(REPO, 2) is None
    assert [pull.number for pull in parts.forge.pulls(REPO)] == [2]


def test_git_may_reach_the_forge_at_another_address_than_people(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    forge = LocalForge(parts.root, parts.store, "https://forge.test/", SECRET, git_url="http://127.0.0.1:1/")
    assert forge.remote(REPO).url == "http://127.0.0.1:1/forge/acme/widgets.git"
    seen = forge.pull(REPO, pull.number)
    assert seen is not None
    assert seen.url == f"https://forge.test/forge/acme/widgets/pulls/{pull.number}"


def test_many_issues_at_once_have_each_a_number(parts: Local, tmp_path: Path) -> None:
    parts.forge.add(str(source(tmp_path)), REPO)
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda n: parts.forge.create_issue(REPO, f"issue {n}"), range(12)))
    assert sorted(numbers) == list(range(1, 13))


@pytest.mark.parametrize("title", ["", "  ", "two\nlines", "x" * 301, "bell\a"])
def test_a_title_that_is_no_line_is_refused(parts: Local, tmp_path: Path, title: str) -> None:
    parts.forge.add(str(source(tmp_path)), REPO)
    with pytest.raises(BadIntent):
        parts.forge.create_issue(REPO, title)


def test_a_branch_nobody_pushed_has_no_pull_request(parts: Local, tmp_path: Path) -> None:
    parts.forge.add(str(source(tmp_path)), REPO)
    with pytest.raises(NotPossible):
        parts.forge.open_pull(draft())
    with pytest.raises(NotPossible):
        parts.forge.open_pull(draft("main"))


def opened(parts: Local, tmp_path: Path) -> tuple[Pull, ReviewedHead]:
    work = source(tmp_path)
    parts.forge.add(str(work), REPO)
    git(work, "checkout", "--quiet", "-b", "work")
    write(work, {"a": "changed\n"})
    commit_all(work)
    git(work, "push", "--quiet", str(parts.root / f"{REPO}.git"), "work")
    pull = parts.forge.open_pull(draft())
    tree = git(work, "rev-parse", "work^{tree}")
    head = ReviewedHead(repo=REPO, pull=pull.number, head_sha=pull.head_sha, base_sha=pull.base_sha, tree=tree)
    return pull, head


def test_the_diff_is_the_same_before_and_after_the_merge(parts: Local, tmp_path: Path) -> None:
    pull, reviewed = opened(parts, tmp_path)
    before = parts.forge.diff(REPO, pull.number)
    assert "+changed" in before
    assert isinstance(parts.forge.merge(reviewed, "Fix it", ""), Merged)
    assert parts.forge.diff(REPO, pull.number) == before
    with pytest.raises(NotPossible):
        parts.forge.diff(REPO, 9999)


class CutOff(Exception):
    """The process died here."""


class DyingStore(SqlForgeStore):
    """Dies just before a merge is recorded as done."""

    def end_merge(self, repo: str, number: int) -> None:
        raise CutOff(repo, number)


@pytest.mark.parametrize("by", ["look", "merge"])
def test_a_merge_that_was_cut_off_is_finished_by_the_next(parts: Local, tmp_path: Path, by: str) -> None:
    pull, reviewed = opened(parts, tmp_path)
    dying = LocalForge(parts.root, DyingStore(parts.engine), "http://forge.test", SECRET, timeout_s=60)
    with pytest.raises(CutOff):
        dying.merge(reviewed, "Fix it", "")
    squash = git(parts.root / f"{REPO}.git", "rev-parse", "main")
    if by == "look":
        seen = parts.forge.pull(REPO, pull.number)
        assert seen is not None
        assert (seen.state, seen.merged_sha) == (PullState.MERGED, squash)
    assert parts.forge.merge(reviewed, "Other words", "") == Merged(sha=squash)
    assert git(parts.root / f"{REPO}.git", "branch", "--list", "work") == ""


class DyingEarlyStore(SqlForgeStore):
    """Dies just after a merge is announced."""

    def begin_merge(self, repo: str, number: int, *, head_sha: str, base_sha: str, squash: str) -> None:
        super().begin_merge(repo, number, head_sha=head_sha, base_sha=base_sha, squash=squash)
        raise CutOff


def test_a_merge_that_was_only_announced_is_not_taken_for_one(parts: Local, tmp_path: Path) -> None:
    pull, reviewed = opened(parts, tmp_path)
    dying = LocalForge(parts.root, DyingEarlyStore(parts.engine), "http://forge.test", SECRET, timeout_s=60)
    with pytest.raises(CutOff):
        dying.merge(reviewed, "Fix it", "")
    seen = parts.forge.pull(REPO, pull.number)
    assert seen is not None
    assert seen.state is PullState.OPEN
    assert isinstance(parts.forge.merge(reviewed, "Fix it", ""), Merged)


def test_a_database_that_is_away_is_a_records_fault(parts: Local) -> None:
    with parts.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE forge_repos"))
    with pytest.raises(RecordsFault):
        parts.forge.repos()


def test_a_repository_that_is_gone_from_the_disk_is_the_forge_s_fault(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    (parts.root / f"{REPO}.git").rename(tmp_path / "away")
    with pytest.raises(ForgeDown):
        parts.forge.pull(REPO, pull.number)


def test_a_pull_record_tells_all_its_fields(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    assert parts.store.pull(REPO, pull.number) == PullRecord(
        repo=REPO,
        number=pull.number,
        title="Fix it",
        body="Why.",
        draft=False,
        state=PullState.OPEN,
        head_branch="work",
        base_branch="main",
        head_sha=pull.head_sha,
        base_sha=pull.base_sha,
    )


# --- the conversation ------------------------------------------------------------------------------------------


def test_an_answer_to_an_answer_stays_in_the_thread(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    operator = parts.forge.operator
    first = operator.comment(REPO, pull.number, "Spell it out.", path="a", line=1)
    second = operator.comment(REPO, pull.number, "Yes, do.", reply=first)
    parts.forge.say(REPO, pull.number, "r1", "Spelt out.", remark=second)
    said = operator.talk(REPO, pull.number).said
    assert [(one.ours, one.answers, one.remark.path, one.remark.line) for one in said] == [
        (False, None, "a", 1),
        (False, first, "a", 1),
        (True, first, "a", 1),
    ]


@pytest.mark.parametrize("remark", ["line:99", "comment:1", "line:1 ", "line:" + "9" * 30, "", "other:1"])
def test_an_answer_to_what_is_not_there_is_said_in_the_conversation(parts: Local, tmp_path: Path, remark: str) -> None:
    pull, _ = opened(parts, tmp_path)
    parts.forge.operator.comment(REPO, pull.number, "Spell it out.", path="a", line=1)
    parts.forge.say(REPO, pull.number, "r1", "Spelt out.", remark=remark)
    said = parts.forge.operator.talk(REPO, pull.number).said[-1]
    assert (said.ours, said.answers, said.remark.kind) == (True, None, RemarkKind.COMMENT)


def test_a_line_stays_known_while_only_other_files_change(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    parts.forge.operator.comment(REPO, pull.number, "Spell it out.", path="a", line=1)
    push(parts, tmp_path, {"b": "more\n"})
    assert [remark.line for remark in parts.forge.remarks(REPO, pull.number)] == [1]
    (tmp_path / "work" / "a").unlink()
    push(parts, tmp_path, {"b": "yet more\n"})
    assert [remark.line for remark in parts.forge.remarks(REPO, pull.number)] == [None]


def push(parts: Local, tmp_path: Path, files: dict[str, str]) -> None:
    work = tmp_path / "work"
    write(work, files)
    commit_all(work)
    git(work, "push", "--quiet", str(parts.root / f"{REPO}.git"), "work")


def test_many_who_say_the_same_at_once_have_said_it_once(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: parts.forge.say(REPO, pull.number, "r1", f"Said by {n}."), range(12)))
    assert len(parts.forge.operator.talk(REPO, pull.number).said) == 1


@pytest.mark.parametrize("key", ["", "a" * 81, "Upper", "a b", "-->", "a\n"])
def test_a_key_that_is_no_key_is_refused(parts: Local, tmp_path: Path, key: str) -> None:
    pull, _ = opened(parts, tmp_path)
    with pytest.raises(NotPossible):
        parts.forge.say(REPO, pull.number, key, "Hello.")
    assert parts.forge.operator.talk(REPO, pull.number).said == ()


def test_what_no_database_could_keep_is_left_out_of_a_comment(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    parts.forge.say(REPO, pull.number, "r1", "a\0b\ud800c")
    assert parts.forge.operator.talk(REPO, pull.number).said[0].remark.body == "ab?c"


def test_a_closed_pull_request_made_ready_stays_closed(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    parts.forge.open_pull(draft(is_draft=True, labels=("ashigaru: waits",)))
    parts.forge.operator.close(REPO, pull.number)
    parts.forge.ready(REPO, pull.number, drop_labels=("ashigaru: waits",))
    after = parts.forge.pull(REPO, pull.number)
    assert after is not None
    assert after.state is PullState.CLOSED
    assert parts.forge.operator.talk(REPO, pull.number).labels == ()


def test_a_closed_pull_request_keeps_the_head_it_had(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    before = parts.forge.diff(REPO, pull.number)
    parts.forge.operator.close(REPO, pull.number)
    push(parts, tmp_path, {"b": "more\n"})
    after = parts.forge.pull(REPO, pull.number)
    assert after is not None
    assert after.head_sha == pull.head_sha
    assert parts.forge.diff(REPO, pull.number) == before


@pytest.mark.parametrize(("told", "ending"), [("nightly", MergeRefused), ("ci", Merged)])
def test_a_check_required_of_one_source_is_not_had_from_another(
    parts: Local, tmp_path: Path, told: str, ending: type[object]
) -> None:
    pull, reviewed = opened(parts, tmp_path)
    operator = parts.forge.operator
    required = RequiredCheck(name="test", source="ci")
    operator.require(REPO, "main", (required,))
    assert parts.forge.required_checks(REPO, "main") == (required,)
    operator.report(REPO, pull.head_sha, "test", CheckState.PASSED, source=told)
    assert isinstance(parts.forge.merge(reviewed, "Fix it", ""), ending)


def test_a_required_check_that_one_source_saw_fail_is_not_had(parts: Local, tmp_path: Path) -> None:
    pull, reviewed = opened(parts, tmp_path)
    operator = parts.forge.operator
    operator.require(REPO, "main", (RequiredCheck(name="test"),))
    operator.report(REPO, pull.head_sha, "test", CheckState.PASSED, source="ci")
    operator.report(REPO, pull.head_sha, "test", CheckState.FAILED, source="nightly")
    assert not isinstance(parts.forge.merge(reviewed, "Fix it", ""), Merged)


def test_checks_told_before_they_had_a_source_are_ours(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'old.db'}")
    config = Config()
    config.set_main_option("script_location", str(PROJECT / "runner" / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for old in (
            "INSERT INTO forge_repos VALUES ('w', '/w', 'main', 2)",
            "INSERT INTO forge_checks VALUES ('w', 'abc', 'gate', 'failed', '2 failed')",
            "INSERT INTO forge_pulls VALUES ('w', 1, 'T', 'B', 0, 'open', 'h', 'main', 'abc', 'def', NULL, NULL)",
        ):
            connection.execute(sa.text(old))
    migrate(engine)
    store = SqlForgeStore(engine)
    (check,) = store.talk.checks("w", "abc")
    assert check == CheckRecord(source="ashigaru", name="gate", state=CheckState.FAILED, summary="2 failed")
    assert [pull.labels for pull in store.pulls("w")] == [()]
    engine.dispose()


def test_of_a_long_log_only_the_end_is_kept(parts: Local, tmp_path: Path) -> None:
    pull, _ = opened(parts, tmp_path)
    log = b"x" * MAX_LOG_BYTES + b"the end"
    parts.forge.operator.report(REPO, pull.head_sha, "test", CheckState.FAILED, log=log)
    (check,) = parts.forge.checks(REPO, pull.head_sha)
    kept = parts.forge.check_log(REPO, check, 2 * MAX_LOG_BYTES)
    assert len(kept) == MAX_LOG_BYTES
    assert kept.endswith("xthe end")
