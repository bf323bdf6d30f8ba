"""A stdio MCP server with the file deeds that the agent's own tools lack: delete, rename, set the executable bit.

Standard library only, one file: it runs inside the agent's sandbox. Paths are resolved component by component from a
directory handle, so that no symlink is followed; `.git` is refused in any spelling.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

MAX_LINE = 1024 * 1024
MAX_PATH = 4096
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
INFO = {"name": "ash", "version": "1"}

_GIT = re.compile(r"\.git|git~[0-9]+")


class Refused(Exception):
    """The deed was not done; the text is one sentence for the model."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool: what it is called, what it promises, what it takes (name -> JSON type), and the deed."""

    name: str
    description: str
    parameters: tuple[tuple[str, str], ...]
    deed: Callable[..., str]

    def listed(self) -> dict[str, Any]:
        """The tool as `tools/list` shows it."""
        return {
            "name": self.name,
            "description": self.description,
            "inputSchema": {
                "type": "object",
                "properties": {name: {"type": kind} for name, kind in self.parameters},
                "required": [name for name, _ in self.parameters],
                "additionalProperties": False,
            },
        }


def is_git(component: str) -> bool:
    """Whether some file system would take this name for `.git`."""
    folded = unicodedata.normalize("NFKC", component).casefold()
    visible = "".join(character for character in folded if unicodedata.category(character) not in {"Cf", "Cc"})
    return any(_GIT.fullmatch(part.split(":")[0].rstrip(". ")) for part in visible.split("\\"))


class Tree:
    """The files under one root, and nothing else."""

    def __init__(self, root: str) -> None:
        """Work below `root`, an absolute path of a directory."""
        self._root = root

    def _parts(self, path: object) -> tuple[str, ...]:
        if not isinstance(path, str) or not path or "\0" in path or len(path) > MAX_PATH:
            raise Refused("Give a path of 1 to 4096 characters.")
        given = PurePosixPath(path)
        if given.is_absolute():
            if not given.is_relative_to(self._root):
                raise Refused(f"Only files below {self._root} can be changed.")
            given = given.relative_to(self._root)
        parts = given.parts
        if not parts or ".." in parts:
            raise Refused("Give the path of a file, without '..'.")
        if any(is_git(part) for part in parts):
            raise Refused("Git's own files cannot be changed.")
        return parts

    @contextmanager
    def _parent(self, parts: tuple[str, ...], *, make: bool = False) -> Iterator[tuple[int, str]]:
        """A handle of the directory that holds the file, and the file's own name."""
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self._root, flags)
        try:
            for part in parts[:-1]:
                if make:
                    with suppress(FileExistsError):  # what it is, the open below finds out
                        os.mkdir(part, dir_fd=handle)
                below = os.open(part, flags, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle, parts[-1]
        finally:
            os.close(handle)

    def delete_file(self, path: object) -> str:
        """Delete a file or a symlink."""
        with self._parent(self._parts(path)) as (parent, name):
            _file(parent, name)
            os.unlink(name, dir_fd=parent)
        return f"Deleted {path}."

    def rename_file(self, source: object, destination: object) -> str:
        """Rename a file, making the directories that the destination lacks; never onto something that exists."""
        old, new = self._parts(source), self._parts(destination)
        with self._parent(old) as (old_parent, old_name):
            _file(old_parent, old_name)
            with self._parent(new, make=True) as (new_parent, new_name):
                try:
                    os.stat(new_name, dir_fd=new_parent, follow_symlinks=False)
                except FileNotFoundError:
                    os.rename(old_name, new_name, src_dir_fd=old_parent, dst_dir_fd=new_parent)
                else:
                    raise Refused(f"{destination} exists already; delete it first.")
        return f"Renamed {source} to {destination}."

    def set_executable(self, path: object, executable: object) -> str:
        """Set or clear the executable bits of a plain file."""
        if not isinstance(executable, bool):
            raise Refused("`executable` must be true or false.")
        with self._parent(self._parts(path)) as (parent, name):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
            try:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise Refused(f"{path} is not a plain file.")
                os.fchmod(handle, 0o755 if executable else 0o644)
            finally:
                os.close(handle)
        return f"{path} is {'now' if executable else 'no longer'} executable."


def _file(parent: int, name: str) -> None:
    mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise Refused(f"{name} is neither a file nor a symlink.")


class Server:
    """Answers MCP messages of both generations: the `initialize` handshake, and self-contained requests."""

    def __init__(self, tree: Tree) -> None:
        """Serve the three tools on `tree`."""
        tools = (
            Tool(
                name="delete_file",
                description="Delete one file of the working tree.",
                parameters=(("path", "string"),),
                deed=tree.delete_file,
            ),
            Tool(
                name="rename_file",
                description="Rename or move one file within the working tree; the destination must not exist.",
                parameters=(("source", "string"), ("destination", "string")),
                deed=tree.rename_file,
            ),
            Tool(
                name="set_executable",
                description="Make one file of the working tree executable, or no longer so.",
                parameters=(("path", "string"), ("executable", "boolean")),
                deed=tree.set_executable,
            ),
        )
        self._tools = {tool.name: tool for tool in tools}

    def answer(self, message: object) -> dict[str, Any] | None:
        """The reply to one message; None where there is none (notifications and replies)."""
        if not isinstance(message, dict):
            return _error(None, -32600, "A request is a JSON object.")
        method, request_id = message.get("method"), message.get("id")
        if request_id is None or not isinstance(method, str):
            return None
        parameters = message.get("params")
        parameters = parameters if isinstance(parameters, dict) else {}
        match method:
            case "initialize":
                version = parameters.get("protocolVersion")
                result: dict[str, Any] = {
                    "protocolVersion": version if isinstance(version, str) else LEGACY,
                    "capabilities": {"tools": {}},
                    "serverInfo": INFO,
                }
            case "server/discover":
                result = {
                    "supportedVersions": [MODERN],
                    "capabilities": {"tools": {}},
                    "ttlMs": 0,
                    "cacheScope": "private",
                    "_meta": {"io.modelcontextprotocol/serverInfo": INFO},
                }
            case "ping":
                result = {}
            case "tools/list":
                listed = [tool.listed() for tool in self._tools.values()]
                result = {"tools": listed, "ttlMs": 0, "cacheScope": "private"}
            case "tools/call":
                tool = self._tools.get(str(parameters.get("name")))
                if tool is None:
                    return _error(request_id, -32602, "There is no such tool.")
                result = _called(tool, parameters.get("arguments"))
            case _:
                return _error(request_id, -32601, "There is no such method.")
        return {"jsonrpc": "2.0", "id": request_id, "result": {"resultType": "complete", **result}}


def _called(tool: Tool, arguments: object) -> dict[str, Any]:
    names = {name for name, _ in tool.parameters}
    try:
        if isinstance(arguments, dict) and set(arguments) == names:
            text, failed = tool.deed(**arguments), False
        else:
            text, failed = f"Give exactly these arguments: {', '.join(sorted(names))}.", True
    except Refused as refused:
        text, failed = str(refused), True
    except OSError as fault:
        text, failed = f"The file could not be changed: {fault.strerror or 'it cannot be reached'}.", True
    except UnicodeEncodeError:
        text, failed = "The path is not valid Unicode.", True
    return {"content": [{"type": "text", "text": text}], "isError": failed}


def _error(request_id: object, code: int, sentence: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": sentence}}


def lines(source: BinaryIO) -> Iterator[bytes | None]:
    """Each line of `source`; None for one that is longer than `MAX_LINE`, which is read past."""
    while line := source.readline(MAX_LINE + 1):
        if len(line) <= MAX_LINE:
            yield line
            continue
        while not line.endswith(b"\n"):
            line = source.readline(MAX_LINE)
            if not line:
                break
        yield None


def serve(server: Server, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer every message of `source` on `sink`, until it ends."""
    for line in lines(source):
        if line is None:
            reply: dict[str, Any] | None = _error(None, -32600, "The request is too long.")
        elif not line.strip():
            continue
        else:
            try:
                reply = server.answer(json.loads(line))
            except (ValueError, RecursionError):
                reply = _error(None, -32700, "The request is not JSON.")
        if reply is not None:
            sink.write(json.dumps(reply).encode("utf-8") + b"\n")
            sink.flush()


def main() -> None:
    """Serve the tree named on the command line, /workspace by default, on stdin and stdout."""
    root = sys.argv[1] if len(sys.argv) > 1 else "/workspace"
    serve(Server(Tree(root)), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
