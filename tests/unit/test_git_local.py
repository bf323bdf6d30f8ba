"""Somebody's own repository, read for judgement: whatever git is told there, nothing of it runs and nothing changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_local import LocalRepositories
from runner.errors import BadIntent, CheckoutFault
from tests.git_rig import commit_all, git, make_repository, write


@pytest.fixture
def local(tmp_path: Path) -> LocalRepositories:
    return LocalRepositories(tmp_path / "ours", timeout_s=60)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Three commits on main."""
    place = tmp_path / "theirs"
    make_repository(place, {"a.txt": "one\n", "deep/b.txt": "b\n"})
    for text in ("two\n", "three\n"):
        write(place, {"a.txt": text})
        commit_all(place)
    return place


def exported(tmp_path: Path, local: LocalRepositories, repo: Path, base: str, head: str) -> tuple[str, str]:
    """a.txt of both, the whole way that a judgement takes."""
    taken = local.take(local.find(repo), local.commit(repo, base), local.commit(repo, head))
    checkouts = GitCheckouts(tmp_path / "git", name="A", email="a@example.org")
    checkouts.refresh("r", taken.remote)
    checkouts.clone("run", "r")
    checkouts.export("run", taken.base, tmp_path / "base")
    checkouts.export("run", taken.head, tmp_path / "head")
    assert checkouts.tree_of("run", taken.head) == git(repo, "rev-parse", f"{head}^{{tree}}")
    return tuple((tmp_path / one / "a.txt").read_text(encoding="utf-8") for one in ("base", "head"))  # type: ignore[return-value]


def everything_in(place: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(place.rglob("*"))
    }


@pytest.mark.parametrize(
    ("base", "head"), [("HEAD~1", "HEAD"), ("main^", "main"), ("HEAD@{1}", "refs/heads/main"), ("main~1", "v1")]
)
def test_a_commit_may_be_named_in_any_way_that_git_knows(
    tmp_path: Path, local: LocalRepositories, repo: Path, base: str, head: str
) -> None:
    git(repo, "tag", "-a", "-m", "one", "v1")
    assert exported(tmp_path, local, repo, base, head) == ("two\n", "three\n")


def test_a_commit_that_no_branch_leads_to_is_found_by_its_id(
    tmp_path: Path, local: LocalRepositories, repo: Path
) -> None:
    lost = git(repo, "rev-parse", "HEAD")
    git(repo, "reset", "--quiet", "--hard", "HEAD~2")
    assert exported(tmp_path, local, repo, "main", lost) == ("one\n", "three\n")


def test_the_repository_may_be_bare_or_a_linked_work_tree_or_a_directory_inside(
    tmp_path: Path, local: LocalRepositories, repo: Path
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "bare dir.git")
    git(repo, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"), "HEAD~1")
    assert local.find(repo / "deep") == local.find(tmp_path / "linked") == repo / ".git"
    assert local.commit(tmp_path / "linked", "HEAD") == git(repo, "rev-parse", "HEAD~1")
    assert exported(tmp_path, local, tmp_path / "bare dir.git", "main~2", "main") == ("one\n", "three\n")


def test_a_shallow_clone_that_has_both_commits_will_do(tmp_path: Path, local: LocalRepositories, repo: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=2", repo.as_uri(), "shallow")
    assert exported(tmp_path, local, tmp_path / "shallow", "HEAD~1", "HEAD") == ("two\n", "three\n")


def test_history_stays_behind_and_a_later_commit_is_taken_into_the_same_copy(
    tmp_path: Path, local: LocalRepositories, repo: Path
) -> None:
    oldest = git(repo, "rev-parse", "HEAD~2")
    assert exported(tmp_path, local, repo, "HEAD~1", "HEAD") == ("two\n", "three\n")
    (copy,) = (tmp_path / "ours" / "taken").iterdir()
    assert oldest not in git(copy, "cat-file", "--batch-all-objects", "--batch-check")
    write(repo, {"a.txt": "four\n"})
    commit_all(repo)
    assert exported(tmp_path, local, repo, "HEAD~1", "HEAD") == ("three\n", "four\n")
    assert list((tmp_path / "ours" / "taken").iterdir()) == [copy]


def test_the_same_trees_are_the_same_commits_of_ours_each_time(tmp_path: Path, repo: Path) -> None:
    git_dir = repo / ".git"
    head, base = git(repo, "rev-parse", "HEAD", "HEAD~1").split()
    taken = [LocalRepositories(tmp_path / name).take(git_dir, base, head) for name in ("one", "two", "two")]
    assert len({(one.base, one.head) for one in taken}) == 1


def test_nothing_in_the_repository_is_touched(tmp_path: Path, local: LocalRepositories, repo: Path) -> None:
    before = everything_in(repo)
    exported(tmp_path, local, repo, "HEAD~1", "HEAD")
    assert everything_in(repo) == before


def test_what_the_repository_configures_does_not_run(tmp_path: Path, local: LocalRepositories, repo: Path) -> None:
    ran = tmp_path / "ran"
    deed = tmp_path / "deed"
    deed.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\nexec "$@"\n', encoding="utf-8")
    deed.chmod(0o755)
    (repo / ".git" / "hooks").mkdir(exist_ok=True)
    for hook in ("post-checkout", "pre-receive", "reference-transaction", "post-index-change", "fsmonitor-watchman"):
        (repo / ".git" / "hooks" / hook).symlink_to(deed)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "uploadpack.packObjectsHook",
        "filter.x.smudge",
        "diff.external",
        "gpg.program",
        "remote.origin.uploadpack",
        "alias.rev-parse",
    ):
        git(repo, "config", key, str(deed) if key != "alias.rev-parse" else f"!{deed}")
    (repo / ".gitattributes").write_text("* filter=x\n", encoding="utf-8")
    assert exported(tmp_path, local, repo, "HEAD~1", "HEAD") == ("two\n", "three\n")
    assert not ran.exists()


def test_what_a_partial_clone_lacks_is_not_fetched_by_the_command_that_it_names(
    tmp_path: Path, local: LocalRepositories, repo: Path
) -> None:
    ran = tmp_path / "ran"
    deed = tmp_path / "deed"
    deed.write_text(f'#!/bin/sh\necho "$*" >> {ran}\nexec git upload-pack "$@"\n', encoding="utf-8")
    deed.chmod(0o755)
    git(repo, "config", "uploadpack.allowFilter", "true")
    git(repo, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(tmp_path, "clone", "--quiet", "--bare", "--filter=blob:none", repo.as_uri(), "partial")
    git(tmp_path / "partial", "config", "remote.origin.uploadpack", str(deed))
    with pytest.raises(CheckoutFault, match="could not be copied"):
        exported(tmp_path, local, tmp_path / "partial", "HEAD~1", "HEAD")
    with pytest.raises(BadIntent):
        local.commit(tmp_path / "partial", "1" * 40)
    assert not ran.exists()


def test_a_directory_that_is_no_repository_is_refused_in_one_sentence(tmp_path: Path, local: LocalRepositories) -> None:
    for place in (tmp_path, tmp_path / "gone", Path("/dev/null")):
        with pytest.raises(BadIntent, match="not a git repository"):
            local.find(place)


@pytest.mark.parametrize(
    "revision",
    [
        "nope",
        "",
        "-x",
        "--since=1",
        "--disambiguate=",
        "--all",
        "a\nb",
        "0" * 40,
        "HEAD:a.txt",
        "HEAD^{tree}",
        "x" * 5000,
        "main\0",
        "\ud800",
    ],
)
def test_what_names_no_commit_is_refused_in_one_sentence(local: LocalRepositories, repo: Path, revision: str) -> None:
    with pytest.raises(BadIntent, match="names no commit") as refused:
        local.commit(repo, revision)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300
