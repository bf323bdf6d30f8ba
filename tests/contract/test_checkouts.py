"""What every `Checkouts` promises, on real git over HTTP."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from runner.adapters.tree_walk import WalkLimits, walk
from runner.changes import FileChange
from runner.errors import CheckoutFault, ForgeDown, PushRejected
from tests.contract.checkouts_rig import APP, FILES, Rig, a_delete, a_write, committed
from tests.git_rig import commit_all, git, write

# --- mirrors and clones ----------------------------------------------------------------------------------------


def test_a_refreshed_mirror_knows_the_remote_s_branches(rig: Rig) -> None:
    assert rig.checkouts.branch_head("acme/widgets", "main") is None
    assert rig.prepare() == rig.first
    assert rig.checkouts.branch_head("acme/widgets", "nowhere") is None


@pytest.mark.parametrize("torn", ["refs/heads/main", "objects/pack/*.pack", "HEAD"])
def test_a_mirror_that_a_power_cut_tore_is_made_anew(rig: Rig, torn: str) -> None:
    rig.prepare()
    mirror = next((rig.root / "mirrors").glob("*.git"))
    if torn.startswith("objects/"):
        git(mirror, "repack", "-adq")
    for file in mirror.glob(torn):
        file.chmod(0o644)
        file.write_bytes(b"")
    moved = rig.push_by_hand("main")
    assert rig.prepare("run-2") == moved
    rig.checkouts.export("run-2", moved, rig.root / "exported")
    assert (rig.root / "exported" / "by-hand.txt").exists()


def test_a_remote_that_does_not_answer_costs_no_mirror(rig: Rig) -> None:
    rig.prepare()
    mirror = next((rig.root / "mirrors").glob("*.git"))
    (mirror / "refs/heads/main").write_bytes(b"")
    with pytest.raises(ForgeDown):
        rig.checkouts.refresh("acme/widgets", replace(rig.remote, url=f"{rig.remote.url}-is-not-there"))
    assert (mirror / "refs/heads/main").exists()


def test_a_second_refresh_follows_the_remote_and_forgets_what_is_gone(rig: Rig) -> None:
    rig.push_by_hand("side")
    rig.prepare()
    assert rig.checkouts.branch_head("acme/widgets", "side") is not None
    moved = rig.push_by_hand("main")
    git(rig.bare, "update-ref", "-d", "refs/heads/side")
    git(rig.bare, "update-ref", "refs/heads/side/deeper", moved)
    assert rig.prepare() == moved
    assert rig.checkouts.branch_head("acme/widgets", "side") is None
    assert rig.checkouts.branch_head("acme/widgets", "side/deeper") == moved


def test_two_runs_may_refresh_one_repository_at_once(rig: Rig) -> None:
    with ThreadPoolExecutor(4) as pool:
        heads = list(pool.map(rig.prepare, [f"run-{n}" for n in range(4)]))
    assert heads == [rig.first] * 4


def test_what_a_killed_git_left_locked_does_not_stop_the_next_refresh(rig: Rig) -> None:
    rig.prepare()
    moved = rig.push_by_hand()
    (mirror,) = (rig.root / "mirrors").iterdir()
    for lock in ("packed-refs.lock", "config.lock", "refs/heads/main.lock"):
        (mirror / lock).touch()
    assert rig.prepare() == moved


def test_a_clean_clone_shares_nothing_with_the_mirror(rig: Rig) -> None:
    rig.prepare()
    clone = rig.root / "clones" / "run-1.git"
    assert not (clone / "objects/info/alternates").exists()
    assert not (clone / "hooks").exists()
    assert {file.stat().st_nlink for file in clone.rglob("*") if file.is_file()} == {1}


def test_a_removed_clone_is_gone_and_may_be_removed_again(rig: Rig) -> None:
    head = rig.prepare()
    rig.checkouts.remove("run-1")
    rig.checkouts.remove("run-1")
    assert list((rig.root / "clones").iterdir()) == []
    with pytest.raises(CheckoutFault):
        rig.checkouts.tree_of("run-1", head)


@pytest.mark.parametrize("run_id", ["../up", "", "a/b", ".hidden", "x" * 200])
def test_a_run_id_that_is_no_name_is_refused(rig: Rig, run_id: str) -> None:
    with pytest.raises(CheckoutFault):
        rig.checkouts.clone(run_id, "acme/widgets")


@pytest.mark.parametrize("commit", ["HEAD", "--output=/tmp/x", "abc", "A" * 40, ""])
def test_a_commit_is_named_by_its_full_id_alone(rig: Rig, commit: str) -> None:
    rig.prepare()
    with pytest.raises(CheckoutFault):
        rig.checkouts.paths("run-1", commit)


# --- reading ---------------------------------------------------------------------------------------------------


def test_files_are_read_at_a_commit(rig: Rig) -> None:
    head = rig.prepare()
    assert rig.checkouts.read("run-1", head, "src/app.py") == b"print('one')\r\n"
    assert rig.checkouts.read("run-1", head, "src") is None
    assert rig.checkouts.read("run-1", head, "link") is None
    assert rig.checkouts.read("run-1", head, "nowhere") is None
    assert rig.checkouts.read("run-1", head, "*.md") is None
    assert rig.checkouts.paths("run-1", head) == ("README.md", "bin/run", "data.bin", "link", "src/app.py")


def test_a_file_of_more_than_a_mebibyte_is_not_read(rig: Rig) -> None:
    write(rig.work, {"big": b"x" * (1024 * 1024 + 1), "fits": b"x" * 1024 * 1024})
    commit_all(rig.work)
    rig.push_by_hand()
    head = rig.prepare()
    assert rig.checkouts.read("run-1", head, "big") is None
    assert len(rig.checkouts.read("run-1", head, "fits") or b"") == 1024 * 1024


def test_an_export_holds_the_commit_s_bytes_modes_and_symlinks(rig: Rig, tmp_path: Path) -> None:
    head = rig.prepare()
    tree = tmp_path / "tree"
    write(tree, {"left-over/file": "old"})
    (tree / "left-link").symlink_to(tmp_path / "work")
    rig.checkouts.export("run-1", head, tree)
    found = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir())
    assert found == ["README.md", "bin/run", "data.bin", "link", "src/app.py"]
    assert (tree / "src/app.py").read_bytes() == APP
    assert (tree / "data.bin").read_bytes() == FILES["data.bin"]
    assert (tree / "bin/run").stat().st_mode & 0o777 == 0o755
    assert (tree / "README.md").stat().st_mode & 0o777 == 0o644
    assert (tree / "link").readlink() == Path("src/app.py")
    assert (rig.work / "README.md").exists()


def test_an_exported_tree_has_no_changes(rig: Rig, tmp_path: Path) -> None:
    head = rig.prepare()
    rig.checkouts.export("run-1", head, tmp_path / "tree")
    snapshot = rig.checkouts.changes("run-1", head, tmp_path / "tree")
    assert snapshot.changes == ()
    assert snapshot.odd == ()


def test_filters_and_line_endings_of_the_repository_are_not_obeyed(rig: Rig, tmp_path: Path) -> None:
    write(rig.work, {".gitattributes": "*.txt filter=evil text eol=crlf\n", "a.txt": "one\ntwo\n"})
    commit_all(rig.work)
    rig.push_by_hand()
    head = rig.prepare()
    tree = tmp_path / "tree"
    rig.checkouts.export("run-1", head, tree)
    assert (tree / "a.txt").read_bytes() == b"one\ntwo\n"
    (tree / "a.txt").write_bytes(b"one\r\n")
    snapshot = rig.checkouts.changes("run-1", head, tree)
    assert [change.content for change in snapshot.changes] == [b"one\r\n"]
    write(rig.root / "clones/run-1.git/info", {"attributes": "* text eol=lf\n"})
    candidate = committed(rig, head, *snapshot.changes)
    assert rig.checkouts.read("run-1", candidate.commit, "a.txt") == b"one\r\n"


def test_a_submodule_is_neither_exported_nor_a_change(rig: Rig, tmp_path: Path) -> None:
    git(rig.work, "update-index", "--add", "--cacheinfo", f"160000,{rig.first},vendored")
    git(rig.work, "commit", "--quiet", "-m", "submodule")
    git(rig.work, "push", "--quiet", str(rig.bare), "HEAD:refs/heads/main")
    head = rig.prepare()
    tree = tmp_path / "tree"
    rig.checkouts.export("run-1", head, tree)
    assert not (tree / "vendored").exists()
    assert rig.checkouts.changes("run-1", head, tree).changes == ()
    candidate = committed(rig, head, a_write("new", b"x"))
    assert "vendored" in rig.checkouts.paths("run-1", candidate.commit)
    write(tree, {"vendored/file": "x"})
    assert [path for path, _ in rig.checkouts.changes("run-1", head, tree).odd] == ["vendored"]


def test_a_commit_with_a_git_directory_in_it_is_not_exported(rig: Rig, tmp_path: Path) -> None:
    blob = git(rig.bare, "hash-object", "-w", "--stdin", feed=b"[core]\n")
    inner = git(rig.bare, "mktree", feed=f"100644 blob {blob}\tconfig\n".encode())
    outer = git(rig.bare, "mktree", feed=f"040000 tree {inner}\t.git\n".encode())
    evil = git(rig.bare, "commit-tree", outer, "-m", "evil")
    git(rig.bare, "update-ref", "refs/heads/evil", evil)
    rig.prepare()
    with pytest.raises(CheckoutFault):
        rig.checkouts.export("run-1", evil, tmp_path / "tree")
    assert not (tmp_path / "tree" / ".git").exists()


def test_a_commit_that_writes_through_its_own_symlink_is_not_exported(rig: Rig, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = git(rig.bare, "hash-object", "-w", "--stdin", feed=str(outside).encode())
    blob = git(rig.bare, "hash-object", "-w", "--stdin", feed=b"owned")
    inner = git(rig.bare, "mktree", feed=f"100644 blob {blob}\tfile\n".encode())
    raw = b"120000 a\0" + bytes.fromhex(target) + b"40000 a\0" + bytes.fromhex(inner)
    outer = git(rig.bare, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", feed=raw)
    evil = git(rig.bare, "commit-tree", outer, "-m", "evil")
    git(rig.bare, "update-ref", "refs/heads/evil", evil)
    rig.prepare()
    with pytest.raises(CheckoutFault):
        rig.checkouts.export("run-1", evil, tmp_path / "tree")
    assert list(outside.iterdir()) == []


# --- changes ---------------------------------------------------------------------------------------------------


def test_every_kind_of_change_is_found(rig: Rig, tmp_path: Path) -> None:
    head = rig.prepare()
    tree = tmp_path / "tree"
    rig.checkouts.export("run-1", head, tree)
    (tree / "README.md").write_text("changed\n", encoding="utf-8")
    (tree / "bin/run").chmod(0o644)
    (tree / "data.bin").unlink()
    (tree / "link").unlink()
    (tree / "link").symlink_to("README.md")
    (tree / "src/app.py").unlink()
    write(tree, {"src/app.py/inner.py": "x = 1\n", "neu/ä.txt": "ü"})
    (tree / "empty").mkdir()
    snapshot = rig.checkouts.changes("run-1", head, tree)
    assert snapshot.odd == ()
    assert set(snapshot.changes) == {
        a_write("README.md", b"changed\n"),
        a_write("bin/run", b"#!/bin/sh\n"),
        a_delete("data.bin"),
        a_write("link", b"README.md", "120000"),
        a_delete("src/app.py"),
        a_write("src/app.py/inner.py", b"x = 1\n"),
        a_write("neu/ä.txt", "ü".encode()),
    }
    candidate = committed(rig, head, *snapshot.changes)
    rig.checkouts.export("run-1", candidate.commit, tmp_path / "again")
    assert rig.checkouts.changes("run-1", candidate.commit, tree).changes == ()
    assert (tmp_path / "again/src/app.py/inner.py").read_text(encoding="utf-8") == "x = 1\n"


def test_a_directory_that_became_a_file_is_a_change(rig: Rig, tmp_path: Path) -> None:
    head = rig.prepare()
    tree = tmp_path / "tree"
    rig.checkouts.export("run-1", head, tree)
    (tree / "src/app.py").unlink()
    (tree / "src").rmdir()
    (tree / "src").write_text("now a file\n", encoding="utf-8")
    snapshot = rig.checkouts.changes("run-1", head, tree)
    candidate = committed(rig, head, *snapshot.changes)
    assert rig.checkouts.read("run-1", candidate.commit, "src") == b"now a file\n"
    assert "src/app.py" not in rig.checkouts.paths("run-1", candidate.commit)


def test_what_cannot_be_taken_is_odd_and_not_a_change(rig: Rig, tmp_path: Path) -> None:
    head = rig.prepare()
    tree = tmp_path / "tree"
    rig.checkouts.export("run-1", head, tree)
    os.mkfifo(tree / "pipe")
    (tree / "data.bin").unlink()
    os.mkfifo(tree / "data.bin")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tree / "sock"))
    listener.close()
    with (tree / "huge").open("wb") as file:
        file.truncate(33 * 1024 * 1024)
    for name in (".GIT", "git~1", ".git. ", ".g\u200cit"):
        write(tree, {f"nested/{name}/config": "[core]"})
    write(tree, {"src/.git": "gitdir: /elsewhere"})
    (tree / os.fsdecode(b"bad-\xff")).touch()
    if os.geteuid() == 0:
        os.mknod(tree / "device", 0o020600, os.makedev(1, 3))
    snapshot = rig.checkouts.changes("run-1", head, tree)
    odd = {path for path, _ in snapshot.odd}
    expected = {"pipe", "data.bin", "sock", "huge", "src/.git", "bad-\\xff"}
    expected |= {f"nested/{name}" for name in (".GIT", "git~1", ".git. ", ".g\u200cit")}
    assert expected <= odd
    assert ("device" in odd) == (os.geteuid() == 0)
    assert snapshot.changes == ()


def test_no_symlink_is_followed(rig: Rig, tmp_path: Path) -> None:
    head = rig.prepare()
    tree = tmp_path / "tree"
    rig.checkouts.export("run-1", head, tree)
    secret = tmp_path / "secret"
    write(secret, {"key": "top secret"})
    (tree / "out").symlink_to(secret)
    (tree / "README.md").unlink()
    (tree / "README.md").symlink_to(secret / "key")
    (tree / "loop").symlink_to(".")
    snapshot = rig.checkouts.changes("run-1", head, tree)
    assert set(snapshot.changes) == {
        a_write("out", str(secret).encode(), "120000"),
        a_write("README.md", str(secret / "key").encode(), "120000"),
        a_write("loop", b".", "120000"),
    }


def test_a_tree_that_is_a_symlink_is_refused(rig: Rig, tmp_path: Path) -> None:
    head = rig.prepare()
    rig.checkouts.export("run-1", head, tmp_path / "tree")
    (tmp_path / "other").symlink_to(tmp_path / "tree")
    with pytest.raises(CheckoutFault):
        rig.checkouts.changes("run-1", head, tmp_path / "other")
    with pytest.raises(CheckoutFault):
        rig.checkouts.export("run-1", head, tmp_path / "other")


def test_a_walk_stops_at_its_limits(tmp_path: Path) -> None:
    write(tmp_path, {f"f{n}": "x" * 10 for n in range(8)})
    few = walk(tmp_path, {}, WalkLimits(entries=5))
    assert few.odd[0][0] == "."
    assert len(few.changes) <= 5
    little = walk(tmp_path, {}, WalkLimits(total_bytes=35))
    assert len(little.changes) == 3
    assert len(little.odd) == 5
    write(tmp_path, {"a/b/c/d": "x"})
    flat = walk(tmp_path, {}, WalkLimits(depth=2))
    assert [path for path, _ in flat.odd] == ["a/b/c"]


def test_planted_hooks_monitors_and_filters_do_nothing(rig: Rig, tmp_path: Path) -> None:
    head = rig.prepare()
    fired = tmp_path / "fired"
    script = f"#!/bin/sh\ntouch {fired}\n"
    hooks = rig.root / "clones/run-1.git/hooks"
    for name in ("pre-push", "post-commit", "reference-transaction", "post-index-change", "fsmonitor"):
        write(hooks, {name: script})
        (hooks / name).chmod(0o755)
    tree = tmp_path / "tree"
    rig.checkouts.export("run-1", head, tree)
    plain = tree / "sub"
    plain.mkdir()
    git(plain, "init", "--quiet", "--template=")
    write(
        tree,
        {
            ".gitattributes": "* filter=evil diff=evil merge=evil\n",
            "sub/.git/config": f'[core]\nfsmonitor={hooks}/fsmonitor\n[filter "evil"]\nclean={hooks}/fsmonitor\n',
            "a.txt": "x",
        },
    )
    snapshot = rig.checkouts.changes("run-1", head, tree)
    candidate = committed(rig, head, *snapshot.changes)
    rig.checkouts.diff("run-1", head, candidate.commit, 10_000)
    rig.checkouts.merge("run-1", head, candidate.commit, "squash")
    rig.checkouts.push("run-1", rig.remote, candidate.commit, "work")
    rig.checkouts.export("run-1", candidate.commit, tmp_path / "again")
    assert not fired.exists()
    assert "sub/.git" in dict(snapshot.odd)


# --- commits ---------------------------------------------------------------------------------------------------


def test_the_same_arguments_give_the_same_commit(rig: Rig) -> None:
    head = rig.prepare()
    changes = (a_write("a", b"1"), a_delete("README.md"), a_write("b/run", b"#!", "100755"))
    once = rig.checkouts.commit("run-1", head, head, changes, "Say why\n\nAt length.")
    rig.checkouts.clone("run-2", "acme/widgets")
    again = rig.checkouts.commit("run-2", head, head, changes, "Say why\n\nAt length.")
    assert once == again
    assert rig.checkouts.tree_of("run-1", once.commit) == once.tree
    shown = git(rig.root / "clones/run-1.git", "log", "-1", "--format=%an <%ae>|%cn|%P|%at|%ct|%B", once.commit)
    dated = int(git(rig.work, "log", "-1", "--format=%ct", head)) + 1
    assert shown == f"Ashigaru <ashigaru@example.org>|Ashigaru|{head}|{dated}|{dated}|Say why\n\nAt length."


def test_changes_apply_to_the_base_and_the_commit_sits_on_the_parent(rig: Rig) -> None:
    head = rig.prepare()
    first = committed(rig, head, a_write("a", b"1"))
    second = rig.checkouts.commit("run-1", head, first.commit, (a_write("b", b"2"),), "second")
    assert "a" not in rig.checkouts.paths("run-1", second.commit)
    assert git(rig.root / "clones/run-1.git", "rev-parse", f"{second.commit}^") == first.commit


@pytest.mark.parametrize(
    "path", [".git/config", "../up", "/abs", "a/../b", "sub/.GIT/x", "git~1/x", "git~2/x", "a\\.git\\x", "a\0b", ""]
)
def test_a_path_that_slipped_past_the_policy_is_not_committed(rig: Rig, path: str) -> None:
    head = rig.prepare()
    with pytest.raises(CheckoutFault):
        committed(rig, head, a_write(path, b"x"))


def test_a_diff_is_cut_with_a_last_line_that_says_so(rig: Rig) -> None:
    head = rig.prepare()
    candidate = committed(rig, head, a_write("big", b"line\n" * 50_000))
    whole = rig.checkouts.diff("run-1", head, candidate.commit, 1_000_000)
    assert whole.count("+line") == 50_000
    cut = rig.checkouts.diff("run-1", head, candidate.commit, 1000)
    assert len(cut) < 1100
    assert "cut" in cut.splitlines()[-1]


def test_a_merge_is_a_squash_on_the_base(rig: Rig) -> None:
    head = rig.prepare()
    ours = committed(rig, head, a_write("ours", b"1"))
    moved = rig.push_by_hand()
    rig.prepare()
    merged = rig.checkouts.merge("run-1", moved, ours.commit, "squash")
    assert merged is not None
    assert merged == rig.checkouts.merge("run-1", moved, ours.commit, "squash")
    assert {"ours", "by-hand.txt"} <= set(rig.checkouts.paths("run-1", merged.commit))
    assert git(rig.root / "clones/run-1.git", "log", "-1", "--format=%P", merged.commit) == moved


def test_a_conflict_is_no_merge(rig: Rig) -> None:
    head = rig.prepare()
    ours = committed(rig, head, a_write("by-hand.txt", b"other\n"))
    moved = rig.push_by_hand()
    rig.prepare()
    assert rig.checkouts.merge("run-1", moved, ours.commit, "squash") is None


# --- pushing ---------------------------------------------------------------------------------------------------


def test_pushing_twice_is_harmless(rig: Rig) -> None:
    head = rig.prepare()
    candidate = committed(rig, head, a_write("a", b"1"))
    rig.checkouts.push("run-1", rig.remote, candidate.commit, "ashigaru/run-1")
    rig.checkouts.push("run-1", rig.remote, candidate.commit, "ashigaru/run-1")
    assert git(rig.bare, "rev-parse", "refs/heads/ashigaru/run-1") == candidate.commit


def test_a_run_may_replace_its_own_work(rig: Rig) -> None:
    head = rig.prepare()
    one = committed(rig, head, a_write("a", b"1"))
    two = committed(rig, head, a_write("a", b"2"))
    rig.checkouts.push("run-1", rig.remote, one.commit, "work")
    rig.checkouts.push("run-1", rig.remote, two.commit, "work")
    assert git(rig.bare, "rev-parse", "refs/heads/work") == two.commit


def test_a_person_s_commits_are_never_overwritten(rig: Rig) -> None:
    head = rig.prepare()
    candidate = committed(rig, head, a_write("a", b"1"))
    by_hand = rig.push_by_hand("work")
    with pytest.raises(PushRejected):
        rig.checkouts.push("run-1", rig.remote, candidate.commit, "work")
    rig.prepare()
    with pytest.raises(PushRejected):
        rig.checkouts.push("run-1", rig.remote, candidate.commit, "work")
    assert git(rig.bare, "rev-parse", "refs/heads/work") == by_hand
    on_top = rig.checkouts.commit("run-1", by_hand, by_hand, (a_write("a", b"1"),), "on top")
    rig.checkouts.push("run-1", rig.remote, on_top.commit, "work")
    assert git(rig.bare, "rev-parse", "refs/heads/work") == on_top.commit


def test_a_push_that_the_remote_refuses_is_rejected_with_its_reason(rig: Rig) -> None:
    head = rig.prepare()
    candidate = committed(rig, head, a_write("a", b"1"))
    git(rig.bare, "config", "receive.denyDeletes", "true")
    git(rig.bare, "config", "transfer.hideRefs", "refs/heads/hidden")
    with pytest.raises(PushRejected):
        rig.checkouts.push("run-1", rig.remote, candidate.commit, "hidden")


@pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", "x.lock", "/x", "x/", "a:b", "@", "+x", "a~1", "a\n"])
def test_a_branch_that_is_no_name_is_refused(rig: Rig, branch: str) -> None:
    head = rig.prepare()
    if branch == "+x":
        rig.checkouts.push("run-1", rig.remote, head, branch)
        return
    with pytest.raises(CheckoutFault):
        rig.checkouts.push("run-1", rig.remote, head, branch)


# --- trees to judge by -----------------------------------------------------------------------------------------


def test_what_two_commits_differ_in_is_told_with_where_it_is(rig: Rig) -> None:
    head = rig.prepare()
    changes = (a_write("src/app.py", b"other"), a_write("new.txt", b"new"), a_delete("data.bin"))
    changed = committed(rig, head, *changes, a_write("bin/run", b"#!/bin/sh\n", "100644"))
    told = rig.checkouts.differing("run-1", head, changed.commit)
    assert [(one.path, one.before, one.after) for one in told] == [
        ("bin/run", True, True),  # the mode alone
        ("data.bin", True, False),
        ("new.txt", False, True),
        ("src/app.py", True, True),
    ]
    assert rig.checkouts.differing("run-1", head, head) == ()


def test_a_graft_has_those_paths_as_the_other_commit_has_them_and_all_else_as_it_was(rig: Rig) -> None:
    head = rig.prepare()
    changed = committed(
        rig,
        head,
        a_write("src/app.py", b"other"),
        a_write("new.txt", b"new"),
        a_delete("data.bin"),
        a_write("kept", b"k"),
    )
    paths = ("src/app.py", "new.txt", "data.bin", "nowhere")
    grafted = rig.checkouts.graft("run-1", onto=changed.commit, source=head, paths=paths)
    left = [one.path for one in rig.checkouts.differing("run-1", head, grafted.commit)]
    assert left == ["kept"]
    assert rig.checkouts.read("run-1", grafted.commit, "src/app.py") == APP
    assert rig.checkouts.graft("run-1", onto=changed.commit, source=head, paths=paths) == grafted
    assert rig.checkouts.tree_of("run-1", grafted.commit) == grafted.tree


@pytest.mark.parametrize(
    "in_the_way",
    [
        (a_delete("src/app.py"), a_write("src", b"a file")),
        (a_delete("src/app.py"), a_write("src", b"bin", "120000")),
        (a_delete("src/app.py"), a_write("src/app.py/deeper.py", b"below")),
    ],
    ids=["a file for its directory", "a link for its directory", "a directory for it"],
)
def test_what_stands_in_the_way_of_a_graft_goes(rig: Rig, in_the_way: tuple[FileChange, ...], tmp_path: Path) -> None:
    head = rig.prepare()
    changed = committed(rig, head, *in_the_way)
    grafted = rig.checkouts.graft("run-1", onto=changed.commit, source=head, paths=("src/app.py",))
    assert rig.checkouts.read("run-1", grafted.commit, "src/app.py") == APP
    rig.checkouts.export("run-1", grafted.commit, tmp_path / "out")
    assert not (tmp_path / "out/src").is_symlink()
    assert (tmp_path / "out/src/app.py").read_bytes() == APP
