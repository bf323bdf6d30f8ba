"""The agent's file tools: what they do, and what they refuse."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from runner.images.agent import filetools
from runner.images.agent.filetools import MAX_LINE, Server, Tree, is_git, serve


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("a\n", encoding="utf-8")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("[core]\n", encoding="utf-8")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s\n", encoding="utf-8")
    (root / "way-out").symlink_to(outside)
    (root / "link").symlink_to(outside / "secret")
    os.mkfifo(root / "pipe")
    return root


def call(tree: Path, tool: str, **arguments: object) -> tuple[bool, str]:
    """Whether the tool said it was done, and what it said."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    reply = Server(Tree(str(tree))).answer(message)
    assert reply is not None
    result = reply["result"]
    return not result["isError"], result["content"][0]["text"]


def test_a_file_is_deleted(tree: Path) -> None:
    assert call(tree, "delete_file", path="src/a.py") == (True, "Deleted src/a.py.")
    assert not (tree / "src" / "a.py").exists()


def test_an_absolute_path_below_the_root_will_do(tree: Path) -> None:
    assert call(tree, "delete_file", path=f"{tree}/src/a.py")[0]


def test_a_symlink_is_deleted_and_not_what_it_points_to(tree: Path) -> None:
    assert call(tree, "delete_file", path="link")[0]
    assert not (tree / "link").is_symlink()
    assert (tree.parent / "outside" / "secret").exists()


def test_a_file_is_renamed_into_directories_that_are_made(tree: Path) -> None:
    assert call(tree, "rename_file", source="src/a.py", destination="lib/deep/b.py")[0]
    assert (tree / "lib" / "deep" / "b.py").read_text(encoding="utf-8") == "a\n"
    assert not (tree / "src" / "a.py").exists()


def test_a_rename_never_replaces(tree: Path) -> None:
    (tree / "b.py").write_text("b\n", encoding="utf-8")
    done, said = call(tree, "rename_file", source="src/a.py", destination="b.py")
    assert not done
    assert "exists already" in said
    assert (tree / "b.py").read_text(encoding="utf-8") == "b\n"


def test_a_rename_does_not_replace_a_symlink_that_leads_nowhere(tree: Path) -> None:
    (tree / "dangling").symlink_to("nobody")
    assert not call(tree, "rename_file", source="src/a.py", destination="dangling")[0]
    assert (tree / "dangling").is_symlink()


def test_the_executable_bit_is_set_and_cleared(tree: Path) -> None:
    file = tree / "src" / "a.py"
    assert call(tree, "set_executable", path="src/a.py", executable=True)[0]
    assert file.stat().st_mode & 0o777 == 0o755
    assert call(tree, "set_executable", path="src/a.py", executable=False)[0]
    assert file.stat().st_mode & 0o777 == 0o644


BAD_PATHS = [
    "",
    ".",
    "..",
    "../outside/secret",
    "src/../../outside/secret",
    "/etc/passwd",
    "way-out/secret",
    ".git/config",
    "src/.GIT/x",
    "src/.git./x",
    "git~1/config",
    ".g\u200cit/config",
    "a\0b",
    "x" * 5000,
    "src",
    "pipe",
    "nobody",
    "\ud800",
    7,
    None,
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_bad_path_is_refused_in_one_sentence_by_every_tool(tree: Path, path: object) -> None:
    before = everything(tree.parent)
    for done, said in (
        call(tree, "delete_file", path=path),
        call(tree, "rename_file", source=path, destination="new.py"),
        call(tree, "set_executable", path=path, executable=True),
    ):
        assert not done
        assert said.endswith(".")
        assert "\n" not in said
    assert everything(tree.parent) == before


@pytest.mark.parametrize(
    "path", ["../outside/new", "/etc/new", "way-out/new", ".git/hooks/pre-commit", "way-out", "link", "a/../b"]
)
def test_nothing_is_renamed_to_a_bad_destination(tree: Path, path: str) -> None:
    before = everything(tree.parent)
    assert not call(tree, "rename_file", source="src/a.py", destination=path)[0]
    assert everything(tree.parent) == before


def test_the_mode_of_what_a_symlink_points_to_is_left_alone(tree: Path) -> None:
    secret = tree.parent / "outside" / "secret"
    mode = secret.stat().st_mode
    assert not call(tree, "set_executable", path="link", executable=True)[0]
    assert secret.stat().st_mode == mode


@pytest.mark.parametrize("arguments", [{}, {"path": "src/a.py", "more": 1}, {"source": "src/a.py"}])
def test_wrong_arguments_are_refused(tree: Path, arguments: dict[str, object]) -> None:
    assert call(tree, "delete_file", **arguments) == (False, "Give exactly these arguments: path.")


def everything(root: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mode) for path in root.rglob("*"))


@pytest.mark.parametrize("name", [".git", ".GIT", ".Git ", ".git.", ".git::$INDEX_ALLOCATION", "GIT~1", "git~23"])
def test_git_is_known_in_any_spelling(name: str) -> None:
    assert is_git(name)


@pytest.mark.parametrize("name", [".gitignore", ".github", "git", "a.git", ".gitattributes", "git~", "digit"])
def test_what_is_not_git_is_not_refused(name: str) -> None:
    assert not is_git(name)


@given(st.sampled_from([".git", "GIT~1"]), st.sampled_from("\u200b\u200c\u200d\ufeff\u202e\u2060"), st.integers(0, 5))
def test_an_invisible_character_does_not_hide_git(name: str, invisible: str, place: int) -> None:
    assert is_git(name[:place] + invisible + name[place:])


# --- the wire ------------------------------------------------------------------------------------------------


def exchange(tree: Path, *messages: bytes) -> list[dict[str, Any]]:
    sink = io.BytesIO()
    serve(Server(Tree(str(tree))), io.BytesIO(b"".join(messages)), sink)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def line(**message: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode("utf-8") + b"\n"


def test_the_handshake_answers_in_the_clients_version(tree: Path) -> None:
    (reply,) = exchange(
        tree,
        line(id=0, method="initialize", params={"protocolVersion": "2025-06-18", "capabilities": {}}),
        line(method="notifications/initialized"),
    )
    assert reply["result"]["protocolVersion"] == "2025-06-18"
    assert reply["result"]["capabilities"] == {"tools": {}}


def test_a_broken_line_does_not_end_the_conversation(tree: Path) -> None:
    replies = exchange(
        tree,
        b"not json\n",
        b"[1]\n",
        b"\n",
        b"[" * 100_000 + b"\n",
        b'"' + b"x" * (2 * MAX_LINE) + b'"\n',
        line(id=1, method="nonsense"),
        line(id=2, method="tools/call", params={"name": "format_disk"}),
        line(id=3, method="ping"),
    )
    assert [reply.get("error", {}).get("code") for reply in replies] == [
        -32700,
        -32600,
        -32700,
        -32600,
        -32601,
        -32602,
        None,
    ]


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_no_input_ends_the_server(chunks: list[bytes]) -> None:
    sink = io.BytesIO()
    source = io.BytesIO(b"\n".join(chunks) + b"\n" + line(id=99, method="ping"))
    serve(Server(Tree("/nonexistent")), source, sink)
    assert json.loads(sink.getvalue().splitlines()[-1])["id"] == 99


def test_no_more_than_a_line_is_ever_asked_for(tree: Path) -> None:
    asked: list[int | None] = []

    class Source(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            asked.append(size)
            return super().readline(size)

    serve(Server(Tree(str(tree))), Source(b"x" * (3 * MAX_LINE) + b"\n"), io.BytesIO())
    assert asked
    assert all(size is not None and 0 < size <= MAX_LINE + 1 for size in asked)


def test_the_tools_are_exactly_three(tree: Path) -> None:
    (reply,) = exchange(tree, line(id=1, method="tools/list"))
    assert [tool["name"] for tool in reply["result"]["tools"]] == ["delete_file", "rename_file", "set_executable"]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_a_real_client_of_either_generation_is_served(tree: Path, mode: Any) -> None:
    parameters = StdioServerParameters(command=sys.executable, args=["-I", str(filetools.__file__), str(tree)])

    async def scene() -> None:
        with anyio.fail_after(20):
            async with Client(stdio_client(parameters), mode=mode) as client:
                listed = await client.list_tools()
                assert len(listed.tools) == 3
                done = await client.call_tool("delete_file", {"path": "src/a.py"})
                assert not done.is_error
                refused = await client.call_tool("delete_file", {"path": ".git/config"})
                assert refused.is_error

    anyio.run(scene)
    assert not (tree / "src" / "a.py").exists()


def test_it_ends_when_its_client_does(tree: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-I", str(filetools.__file__), str(tree)],
        input=line(id=1, method="ping"),
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert json.loads(ended.stdout)["id"] == 1
    assert ended.stderr == b""
