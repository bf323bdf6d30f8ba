"""Files of our own are whole; files of a sandbox's are read without being led anywhere."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import pytest

from runner.files import read_at_most, read_untrusted, remove_tree, tail_untrusted, write_whole


def test_what_is_written_whole_replaces_what_was_there_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_a_plain_file_is_read_from_an_offset_and_never_past_the_limit(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    assert read_untrusted(tmp_path / "f", offset=2, limit=3) == b"234"
    assert read_untrusted(tmp_path / "f", offset=10, limit=3) == b""
    assert tail_untrusted(tmp_path / "f", limit=4) == b"6789"
    assert tail_untrusted(tmp_path / "f", limit=40) == b"0123456789"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_a_stream_is_read_up_to_its_limit(size: int) -> None:
    whole = os.urandom(200_000)
    assert read_at_most(io.BytesIO(whole), size) == whole[:size]
    assert read_at_most(io.BytesIO(whole[:size]), 10**9) == whole[:size]


def test_a_high_limit_costs_no_memory_that_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"little")
    tracemalloc.start()
    try:
        assert read_untrusted(tmp_path / "f", limit=256 << 20) == b"little"
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1 << 20


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "absent", "socket"])
def test_anything_but_a_plain_file_is_not_there(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    path = tmp_path / "f"
    match kind:
        case "symlink":
            path.symlink_to(tmp_path / "secret")
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "socket":
            os.mknod(path, 0o140600)
        case _:
            pass
    assert read_untrusted(path, limit=10) is None
    assert tail_untrusted(path, limit=10) is None


def test_a_tree_is_removed_with_what_its_owner_locked_and_a_link_is_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    tree = tmp_path / "tree"
    (tree / "locked" / "inner").mkdir(parents=True)
    (tree / "locked" / "inner" / "file").touch()
    (tree / "link").symlink_to(kept)
    (tree / "locked" / "inner").chmod(0o000)
    (tree / "locked").chmod(0o500)
    remove_tree(tree)
    assert not tree.exists()
    assert (kept / "file").exists()
    link = tmp_path / "link"
    link.symlink_to(kept)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    remove_tree(tmp_path / "dangling")
    assert not (tmp_path / "dangling").is_symlink()
    remove_tree(tmp_path / "absent")
