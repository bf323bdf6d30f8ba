"""What every `Forge` promises. Another forge joins by one more entry in FORGES."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from runner.adapters.forge_records import PullRecord
from runner.adapters.forge_store import SqlForgeStore
from runner.adapters.forge_tables import define_forge_tables
from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_http import git_http_app
from runner.adapters.local_forge import LocalForge
from runner.errors import BadIntent, ForgeDown, NotPossible, RecordsFault, UnknownRepo
from runner.model import (
    Check,
    CheckState,
    Merged,
    MergeRefused,
    Pull,
    PullDraft,
    PullState,
    ReviewedHead,
)
from runner.ports import Forge
from tests.git_rig import SECRET, commit_all, git, make_repository, served, write

REPO = "acme/widgets"


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A forge that holds `acme/widgets`, and a person's work tree of it. tip: what a branch is at on the forge."""

    forge: Forge
    work: Path
    push: Callable[[str], str]
    tip: Callable[[str], str | None]

    def branch(self, name: str, **files: str) -> str:
        """A pushed branch off the pushed main with these files changed; its commit."""
        git(self.work, "checkout", "--quiet", "-B", name, "main")
        write(self.work, files)
        commit_all(self.work, f"work on {name}")
        return self.push(name)

    def main(self, **files: str) -> str:
        """A pushed commit on main; its id."""
        git(self.work, "checkout", "--quiet", "main")
        write(self.work, files)
        commit_all(self.work, "on main")
        return self.push("main")

    def reviewed(self, pull: Pull) -> ReviewedHead:
        """The proof that promotion would make for the pull request as it is."""
        listed = git(self.work, "merge-tree", "--write-tree", pull.base_sha, pull.head_sha, check=False)
        return ReviewedHead(
            repo=pull.repo,
            pull=pull.number,
            head_sha=pull.head_sha,
            base_sha=pull.base_sha,
            tree=listed.splitlines()[0],
        )


@dataclass(frozen=True, kw_only=True)
class Local:
    """The parts of a local forge, for the tests that are about it alone."""

    forge: LocalForge
    store: SqlForgeStore
    root: Path
    engine: sa.Engine


def local_parts(tmp_path: Path, base_url: str) -> Local:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'forge.db'}", connect_args={"timeout": 30})
    metadata = sa.MetaData()
    define_forge_tables(metadata)
    metadata.create_all(engine)
    store = SqlForgeStore(engine, metadata)
    root = tmp_path / "forge"
    return Local(forge=LocalForge(root, store, base_url, SECRET, timeout_s=60), store=store, root=root, engine=engine)


def source(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    make_repository(work, {"a": "one\n", "b": "two\n"})
    return work


@contextmanager
def local(tmp_path: Path) -> Iterator[Rig]:
    work = source(tmp_path)
    with served(git_http_app(tmp_path / "forge", SECRET)) as url:
        parts = local_parts(tmp_path, url)
        parts.forge.add(str(work), REPO)
        bare = parts.root / f"{REPO}.git"

        def push(branch: str) -> str:
            git(work, "push", "--quiet", "--force", str(bare), f"HEAD:refs/heads/{branch}")
            return git(work, "rev-parse", "HEAD")

        def tip(branch: str) -> str | None:
            return git(bare, "rev-parse", "--quiet", "--verify", f"refs/heads/{branch}", check=False) or None

        yield Rig(forge=parts.forge, work=work, push=push, tip=tip)
        parts.engine.dispose()


FORGES: dict[str, Callable[[Path], AbstractContextManager[Rig]]] = {"local": local}


@pytest.fixture(params=FORGES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with FORGES[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Local]:
    made = local_parts(tmp_path, "http://forge.test")
    yield made
    made.engine.dispose()


def draft(head: str = "work", *, title: str = "Fix it", is_draft: bool = False) -> PullDraft:
    return PullDraft(repo=REPO, head_branch=head, base_branch="main", title=title, body="Why.", draft=is_draft)


# --- the port --------------------------------------------------------------------------------------------------


def test_a_repository_nobody_added_is_unknown(rig: Rig) -> None:
    for ask in (rig.forge.remote, rig.forge.default_branch):
        with pytest.raises(UnknownRepo):
            ask("acme/nothing")
    with pytest.raises(UnknownRepo):
        rig.forge.pull("acme/nothing", 1)
    with pytest.raises(UnknownRepo):
        rig.forge.open_pull(replace(draft(), repo="acme/nothing"))
    with pytest.raises(UnknownRepo):
        rig.forge.set_check("acme/nothing", "0" * 40, "ci", CheckState.PASSED, "")


def test_a_remote_takes_fetches_and_pushes(rig: Rig, tmp_path: Path) -> None:
    remote = rig.forge.remote(REPO)
    assert remote.password is not None
    assert remote.password not in remote.url
    checkouts = GitCheckouts(tmp_path / "checkouts", name="A", email="a@example.org", timeout_s=60)
    checkouts.refresh(REPO, remote)
    head = checkouts.branch_head(REPO, rig.forge.default_branch(REPO))
    assert head == rig.tip("main")
    assert head is not None
    checkouts.clone("run-1", REPO)
    candidate = checkouts.commit("run-1", head, head, (), "empty")
    checkouts.push("run-1", remote, candidate.commit, "ashigaru/run-1")
    assert rig.tip("ashigaru/run-1") == candidate.commit


def test_a_pull_request_is_opened_and_read(rig: Rig) -> None:
    head = rig.branch("work", a="changed\n")
    pull = rig.forge.open_pull(draft())
    assert pull == rig.forge.pull(REPO, pull.number)
    assert (pull.title, pull.body, pull.draft, pull.state) == ("Fix it", "Why.", False, PullState.OPEN)
    assert (pull.head_branch, pull.head_sha, pull.base_branch) == ("work", head, "main")
    assert pull.base_sha == rig.tip("main")
    assert pull.mergeable is not False
    assert pull.merged_sha is None
    assert rig.forge.pull(REPO, 9999) is None


def test_opening_twice_gives_the_same_pull_request_brought_up_to_date(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    first = rig.forge.open_pull(draft(is_draft=True))
    second = rig.forge.open_pull(draft(title="Better"))
    assert second.number == first.number
    assert (first.draft, second.draft, second.title) == (True, False, "Better")


def test_two_branches_have_two_pull_requests(rig: Rig) -> None:
    rig.branch("one", a="1\n")
    rig.branch("two", a="2\n")
    numbers = {rig.forge.open_pull(draft(head)).number for head in ("one", "two", "one", "two")}
    assert len(numbers) == 2


def test_a_pull_request_s_head_and_base_follow_what_is_pushed(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    number = rig.forge.open_pull(draft()).number
    head = rig.branch("work", a="changed again\n")
    base = rig.main(b="moved\n")
    pull = rig.forge.pull(REPO, number)
    assert pull is not None
    assert (pull.head_sha, pull.base_sha) == (head, base)


def test_checks_are_set_changed_and_sorted(rig: Rig) -> None:
    head = rig.branch("work", a="changed\n")
    assert rig.forge.checks(REPO, head) == ()
    rig.forge.set_check(REPO, head, "lint", CheckState.PASSED, "clean")
    rig.forge.set_check(REPO, head, "gate", CheckState.PENDING, "")
    rig.forge.set_check(REPO, head, "gate", CheckState.FAILED, "2 failed")
    assert rig.forge.checks(REPO, head) == (
        Check(name="gate", state=CheckState.FAILED, summary="2 failed", source="ashigaru", ref=head),
        Check(name="lint", state=CheckState.PASSED, summary="clean", source="ashigaru", ref=head),
    )
    assert rig.forge.checks(REPO, rig.tip("main") or "") == ()


def test_a_merge_is_one_commit_on_the_base_with_the_judged_tree(rig: Rig) -> None:
    base = rig.tip("main")
    rig.branch("work", a="changed\n")
    git(rig.work, "commit", "--quiet", "--allow-empty", "-m", "second")
    rig.push("work")
    pull = rig.forge.open_pull(draft())
    reviewed = rig.reviewed(pull)
    merged = rig.forge.merge(reviewed, "Fix it", "Why.")
    assert isinstance(merged, Merged)
    assert rig.tip("main") == merged.sha
    git(rig.work, "fetch", "--quiet", "--no-tags", *_from(rig), "refs/heads/main")
    assert git(rig.work, "log", "-1", "--format=%P|%T|%s", merged.sha) == (
        f"{base}|{reviewed.tree}|Fix it (#{pull.number})"
    )
    after = rig.forge.pull(REPO, pull.number)
    assert after is not None
    assert (after.state, after.merged_sha, after.head_sha) == (PullState.MERGED, merged.sha, pull.head_sha)
    assert rig.tip("work") is None


def _from(rig: Rig) -> tuple[str, ...]:
    remote = rig.forge.remote(REPO)
    return (remote.url.replace("://", f"://{remote.username}:{remote.password}@"),)


def test_merging_again_gives_the_same_commit(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    first = rig.forge.merge(reviewed, "Fix it", "")
    assert isinstance(first, Merged)
    assert rig.forge.merge(reviewed, "Other words", "") == first


def test_a_moved_head_is_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    git(rig.work, "commit", "--quiet", "--amend", "-m", "the same files in another commit")
    rig.push("work")
    before = rig.tip("main")
    assert isinstance(rig.forge.merge(reviewed, "Fix it", ""), MergeRefused)
    assert rig.tip("main") == before


def test_a_moved_base_is_not_merged_onto(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    moved = rig.main()
    assert isinstance(rig.forge.merge(reviewed, "Fix it", ""), MergeRefused)
    assert rig.tip("main") == moved


def test_a_conflict_is_shown_and_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    rig.main(a="changed elsewhere\n")
    pull = rig.forge.open_pull(draft())
    assert pull.mergeable is False
    assert isinstance(rig.forge.merge(rig.reviewed(pull), "Fix it", ""), MergeRefused)


def test_a_pull_request_nobody_opened_is_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    assert isinstance(rig.forge.merge(replace(reviewed, pull=9999), "Fix it", ""), MergeRefused)


def test_a_head_merged_earlier_is_not_merged_as_another(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    rig.forge.merge(reviewed, "Fix it", "")
    other = replace(reviewed, head_sha=reviewed.base_sha)
    assert isinstance(rig.forge.merge(other, "Fix it", ""), MergeRefused)


def test_the_branch_of_a_merged_pull_request_may_have_another(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    first = rig.forge.open_pull(draft())
    rig.forge.merge(rig.reviewed(first), "Fix it", "")
    rig.branch("work", b="changed too\n")
    second = rig.forge.open_pull(draft())
    assert second.number != first.number


def test_a_tree_that_was_not_judged_is_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    assert isinstance(rig.forge.merge(replace(reviewed, tree="0" * 40), "Fix it", ""), MergeRefused)


# --- the local forge alone -------------------------------------------------------------------------------------


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
