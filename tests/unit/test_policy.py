from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.changes import ChangeKind, FileChange, Snapshot
from runner.policy import (
    MAX_REASON_CHARS,
    MAX_REASONS,
    Allowed,
    ChangeLimits,
    Decision,
    Refused,
    is_dot_git,
    is_protected,
    judge_changes,
)

LIMITS = ChangeLimits()


def wrote(path: str, content: bytes = b"x", mode: str = "100644") -> FileChange:
    return FileChange(kind=ChangeKind.WRITE, path=path, mode=mode, content=content)


def linked(path: str, target: str) -> FileChange:
    return wrote(path, target.encode("utf-8", "surrogateescape"), "120000")


def gone(path: str) -> FileChange:
    return FileChange(kind=ChangeKind.DELETE, path=path)


def judged(*changes: FileChange, limits: ChangeLimits = LIMITS, existing: tuple[str, ...] = ()) -> Decision:
    return judge_changes(Snapshot(changes=changes), limits, existing)


def test_an_honest_change_is_allowed_as_it_is() -> None:
    changes = (
        wrote("src/app.py"),
        wrote("bin/run", mode="100755"),
        gone("old/name.txt"),
        wrote("docs/übung mit blank.md"),
        wrote(".gitignore"),
        wrote("a/.gitkeep", b""),
        wrote(".env.example"),
        linked("docs/latest", "../src/app.py"),
        linked("here", "docs"),
        wrote("git/readme"),
        wrote("agit~1"),
    )
    assert judged(*changes) == Allowed(changes=changes)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a/..",
        ".",
        "./a",
        "a//b",
        "a/",
        "nul\0",
        "line\nbreak",
        "esc\x1b[2J",
        "rtl\u202efdp.exe",
        "zero\u200bwidth",
        "back\\slash",
        "lone\udc80",
        "x" * 256,
        "/".join(["x" * 100] * 11),
    ],
)
def test_a_path_that_is_no_plain_path_is_refused(path: str) -> None:
    assert isinstance(judged(wrote(path)), Refused)
    assert isinstance(judged(gone(path)), Refused)


@pytest.mark.parametrize(
    "name",
    [
        ".git",
        ".GIT",
        ".gIt",
        ".git.",
        ".git ",
        ".git . .",
        "git~1",
        "GIT~1",
        "git~2",
        ".git::$INDEX_ALLOCATION",
        ".git:stream",
        ".g\u200cit",
        ".git\u206f",
        "\ufeff.git",
        ".\u202agit",
        ".\uff47it",
    ],
)
def test_git_s_own_directory_is_refused_in_every_spelling(name: str) -> None:
    assert is_dot_git(name)
    for path in (name, f"{name}/config", f"deep/er/{name}/hooks/post-checkout"):
        assert isinstance(judged(wrote(path)), Refused)
    assert isinstance(judged(linked("link", name)), Refused)


@pytest.mark.parametrize("name", ["git", ".gitx", ".gi", "x.git", "git~", "git~x", ".gitignore", "..git"])
def test_names_that_only_look_like_it_are_not_git_s_directory(name: str) -> None:
    assert not is_dot_git(name)


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".GitHub/CODEOWNERS",
        ".gitlab-ci.yml",
        ".ashigaru.toml",
        ".Ashigaru.TOML",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        "CLAUDE.md",
        "pkg/claude.MD",
        "pkg/AGENTS.md",
        "pkg/.claude/settings.json",
        ".mcp.json",
        "a/b/.mcp.json",
        ".gitmodules",
        "sub/.gitattributes",
        ".gitconfig",
        ".husky/pre-commit",
        ".githooks/pre-push",
        ".pre-commit-config.yaml",
        ".github ./x",
        ".cla\u200cude/x",
    ],
)
def test_protected_paths_are_left_alone(path: str) -> None:
    assert is_protected(path, LIMITS)
    assert isinstance(judged(wrote(path)), Refused)
    assert isinstance(judged(gone(path)), Refused)
    assert isinstance(judged(linked(path, "elsewhere")), Refused)


@pytest.mark.parametrize(
    "path",
    [
        "GITMOD~1",
        "gitmod~4",
        "gi7eba~1",
        "sub/GITATT~1",
        "GI7D29~1",
        "GITHUB~1/workflows/ci.yml",
        "CLAUDE~1/settings.json",
        "CODEOW~1",
        "ASHIGA~1.TOM",
        "GITLAB~1.YML",
        "MCP~1.JSO",
        "husky~1/pre-commit",
    ],
)
def test_a_short_name_of_a_protected_path_is_protected_too(path: str) -> None:
    assert is_protected(path, LIMITS)
    assert isinstance(judged(wrote(path)), Refused)


@pytest.mark.parametrize("path", ["agit~1", "report~1.txt", "backup~", "a~b~1", "src/x~2"])
def test_other_names_with_a_tilde_are_anyone_s(path: str) -> None:
    assert isinstance(judged(wrote(path)), Allowed)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n"


@pytest.mark.parametrize(
    "content",
    [POINTER, POINTER.replace(b"git-lfs.github", b"hawser.github"), b"version http://git-media.io/v/2\nx\n"],
)
def test_a_pointer_to_content_elsewhere_is_refused(content: bytes) -> None:
    assert isinstance(judged(wrote("model.bin", content)), Refused)


def test_text_that_only_speaks_of_pointers_is_allowed() -> None:
    assert isinstance(judged(wrote("docs/lfs.md", b"# LFS\n" + POINTER)), Allowed)
    assert isinstance(judged(wrote("long.txt", POINTER + b"x" * 1024)), Allowed)
    assert isinstance(judged(gone("model.bin")), Allowed)


def test_a_folder_that_git_would_take_for_a_repository_is_refused() -> None:
    bare = (wrote("x/HEAD", b"ref: refs/heads/main"), wrote("x/objects/info/x"), wrote("x/refs/heads/main"))
    assert isinstance(judged(*bare), Refused)
    assert isinstance(judged(wrote("x/hooks/post-checkout"), existing=tuple(one.path for one in bare)), Refused)
    assert isinstance(judged(wrote("X/head"), existing=("x/Objects/a", "x/refs/b")), Refused)
    assert isinstance(judged(wrote("HEAD"), wrote("objects/a"), wrote("refs/b")), Refused)
    assert isinstance(judged(*bare[:2]), Allowed)
    assert isinstance(judged(bare[0], wrote("x/objects"), wrote("x/refs")), Allowed)
    assert isinstance(judged(wrote("y"), existing=tuple(one.path for one in bare)), Allowed)
    assert isinstance(judged(gone("x/refs/heads/main"), *bare[:2], existing=("x/refs/heads/main",)), Allowed)


def test_an_operator_s_protected_path_is_left_alone() -> None:
    limits = ChangeLimits(protected_paths=("migrations",), protected_names=("secret.txt",))
    assert isinstance(judged(wrote("migrations/0001.sql"), limits=limits), Refused)
    assert isinstance(judged(wrote("deep/Secret.txt"), limits=limits), Refused)
    assert isinstance(judged(wrote("migrations2/x"), limits=limits), Allowed)


@pytest.mark.parametrize(
    "change",
    [
        linked("a", "/etc/passwd"),
        linked("a", ".."),
        linked("a/b", "../../x"),
        linked("a/b", "c/../../../x"),
        linked("a", "b/../c"),
        linked("a", ""),
        linked("a", "line\nbreak"),
        linked("a", "back\\slash"),
        linked("a", "x" * 2000),
        linked("a", "sub/.git/config"),
        wrote("a", b"\xff", "120000"),
    ],
)
def test_a_symlink_that_may_leave_the_tree_is_refused(change: FileChange) -> None:
    assert isinstance(judged(change), Refused)


@pytest.mark.parametrize("target", ["b", "./b", "../a/b", "..", "../../x", "dangling/away"])
def test_a_symlink_inside_the_tree_is_allowed(target: str) -> None:
    assert isinstance(judged(linked("one/two/link", target)), Allowed)


def test_two_names_for_one_file_are_refused() -> None:
    assert isinstance(judged(wrote("a/Readme"), wrote("a/README")), Refused)
    assert isinstance(judged(wrote("A/x"), wrote("a/y")), Refused)
    assert isinstance(judged(wrote("caf\u00e9"), wrote("cafe\u0301")), Refused)
    assert isinstance(judged(wrote("readme.md"), existing=("README.md", "x")), Refused)
    assert isinstance(judged(wrote("readme.md"), gone("README.md"), existing=("README.md",)), Allowed)
    assert isinstance(judged(wrote("README.md"), existing=("README.md", "readme.md")), Allowed)
    assert isinstance(judged(wrote("src/new.py"), existing=("src/old.py",)), Allowed)


def test_nothing_is_written_through_a_symlink_or_below_a_file() -> None:
    assert isinstance(judged(linked("a", "b"), wrote("a/x")), Refused)
    assert isinstance(judged(linked("A", "b"), wrote("a/x")), Refused)
    assert isinstance(judged(wrote("a"), wrote("a/b/c")), Refused)
    assert isinstance(judged(wrote("a"), wrote("a")), Refused)
    assert isinstance(judged(gone("a"), wrote("a/b")), Allowed)


def test_an_odd_entry_refuses_everything() -> None:
    decision = judge_changes(Snapshot(changes=(wrote("a"),), odd=(("pipe", "not a file"),)), LIMITS)
    assert isinstance(decision, Refused)
    assert "pipe" in decision.reasons[0]


@pytest.mark.parametrize("mode", [None, "160000", "040000", "100664", ""])
def test_a_mode_that_is_no_file_s_is_refused(mode: str | None) -> None:
    assert isinstance(judged(FileChange(kind=ChangeKind.WRITE, path="a", mode=mode, content=b"")), Refused)


def test_limits_hold_at_their_edge() -> None:
    limits = ChangeLimits(files=2, file_bytes=10, total_bytes=15)
    assert isinstance(judged(wrote("a", b"x" * 10), wrote("b", b"x" * 5), limits=limits), Allowed)
    assert isinstance(judged(wrote("a", b"x" * 11), limits=limits), Refused)
    assert isinstance(judged(wrote("a", b"x" * 8), wrote("b", b"x" * 8), limits=limits), Refused)
    assert isinstance(judged(wrote("a"), wrote("b"), gone("c"), limits=limits), Refused)


paths = st.lists(
    st.one_of(st.sampled_from(["a", "B", "b", "..", ".", "", ".git", "GIT~1", ".github", "c"]), st.text(max_size=8)),
    max_size=4,
).map("/".join)
changes = st.builds(
    FileChange,
    kind=st.sampled_from(ChangeKind),
    path=paths,
    mode=st.sampled_from([None, "100644", "100755", "120000", "160000"]),
    content=st.one_of(st.none(), st.binary(max_size=40), paths.map(lambda path: path.encode("utf-8", "replace"))),
)
snapshots = st.builds(
    Snapshot,
    changes=st.lists(changes, max_size=8).map(tuple),
    odd=st.lists(st.tuples(st.text(max_size=400), st.text(max_size=400)), max_size=40).map(tuple),
)


@given(snapshots, st.lists(paths, max_size=5))
def test_reasons_are_few_short_and_printable_sentences(snapshot: Snapshot, existing: list[str]) -> None:
    match judge_changes(snapshot, LIMITS, existing):
        case Refused(reasons=reasons):
            assert 1 <= len(reasons) <= MAX_REASONS
            assert all(reason.isprintable() and len(reason) <= MAX_REASON_CHARS for reason in reasons)
        case Allowed(changes=allowed):
            assert allowed == snapshot.changes
            assert snapshot.odd == ()


@given(snapshots)
def test_what_is_allowed_stays_inside_the_tree(snapshot: Snapshot) -> None:
    decision = judge_changes(snapshot, LIMITS)
    if isinstance(decision, Refused):
        return
    links = {change.path for change in decision.changes if change.mode == "120000"}
    for change in decision.changes:
        assert posixpath.normpath(change.path) == change.path
        assert not change.path.startswith(("/", ".."))
        assert not any(is_dot_git(part) for part in change.path.split("/"))
        assert not is_protected(change.path, LIMITS)
        assert not any(change.path.startswith(f"{link}/") for link in links)
        if change.mode == "120000" and change.kind is ChangeKind.WRITE:
            target = (change.content or b"").decode()
            reached = posixpath.normpath(posixpath.join("/tree", posixpath.dirname(change.path), target))
            assert reached == "/tree" or reached.startswith("/tree/")


@given(st.lists(changes, min_size=1, max_size=6))
def test_the_order_of_changes_does_not_matter(some: list[FileChange]) -> None:
    forwards, backwards = judged(*some), judged(*reversed(some))
    assert isinstance(forwards, Refused) == isinstance(backwards, Refused)
