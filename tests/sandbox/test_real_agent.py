"""The real agent at work in its sandbox, its model's side scripted."""

from __future__ import annotations

import json
import socketserver
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from runner.launch import SYSTEM_PROMPT, AgentExit, ExitReason, claude_argv, claude_environment, read_exit
from runner.model import Tier
from runner.sandbox import MODEL_PORT
from runner.sandboxes import RunState, SandboxStatus
from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.scenes import PLACEHOLDER, agent, ended, eventually, inside

pytestmark = pytest.mark.podman

TIER = Tier(name="sonnet", model="sonnet", effort="medium", max_turns=10, max_micro_usd=1_000_000, wall_s=60, idle_s=60)

TURNS: tuple[tuple[str, dict[str, Any]] | None, ...] = (
    ("Read", {"file_path": "/workspace/calc.py"}),
    ("Edit", {"file_path": "/workspace/calc.py", "old_string": "a - b", "new_string": "a + b"}),
    ("mcp__ash__delete_file", {"path": "/workspace/old.py"}),
    ("mcp__ash__rename_file", {"source": "notes.txt", "destination": "docs/notes.txt"}),
    ("mcp__ash__set_executable", {"path": "run.sh", "executable": True}),
    ("Read", {"file_path": "/etc/passwd"}),
    ("Write", {"file_path": "/tmp/outside.txt", "content": "x"}),  # noqa: S108 - it must be refused
    ("Bash", {"command": "id"}),
    None,
)


def sse(turn: tuple[str, dict[str, Any]] | None, number: int, model: str) -> bytes:
    """One assistant message as the Messages API streams it."""
    usage = {"input_tokens": 100, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    if turn is None:
        block: dict[str, Any] = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": "Done."}
    else:
        block = {"type": "tool_use", "id": f"toolu_{number}", "name": turn[0], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(turn[1])}
    stop = "end_turn" if turn is None else "tool_use"
    events = (
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": 20},
        },
        {"type": "message_stop"},
    )
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


@contextmanager
def scripted_model(path: Path, *, dies_in_turn: int | None = None) -> Iterator[list[dict[str, Any]]]:
    """A Messages API on a Unix socket that plays TURNS; the requests it has had.

    In `dies_in_turn` it answers by half and drops the connection.
    """
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append({"path": self.path, "key": self.headers.get("x-api-key"), "body": body})
            said = sum(1 for message in body["messages"] if message["role"] == "assistant")
            answer = sse(TURNS[min(said, len(TURNS) - 1)] if body.get("tools") else None, said, body["model"])
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if said == dies_in_turn:
                self.wfile.write(answer[: len(answer) // 2])
                self.close_connection = True
                return
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name for it
            pass

        def address_string(self) -> str:
            return "relay"

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield requests
        finally:
            server.shutdown()
            thread.join()
    path.unlink()


def test_the_real_agent_works_through_the_relay(podman_host: PodmanLab) -> None:
    tree = podman_host.directory("tree")
    (tree / "calc.py").write_text("def add(a, b):\n    return a - b\n", encoding="utf-8")
    (tree / "old.py").write_text("gone = True\n", encoding="utf-8")
    (tree / "notes.txt").write_text("notes\n", encoding="utf-8")
    (tree / "run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (podman_host.directory("in") / "system.md").write_text("Guidance of the base commit.", encoding="utf-8")
    argv = claude_argv(TIER, session_id=str(uuid.uuid4()), max_micro_usd=500_000, system_prompt_file=SYSTEM_PROMPT)
    spec = agent(podman_host, argv, claude_environment("api_key", PLACEHOLDER), prompt="Please mend the sum.")
    with scripted_model(podman_host.directory("sockets") / "model.sock") as requests:
        podman_host.containers.start(spec)
        status = ended(podman_host, spec)
    out = podman_host.directory("out")
    events = [json.loads(line) for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    told = json.dumps(events[-12:], indent=1) + (out / "stderr.txt").read_text(encoding="utf-8")
    assert status == SandboxStatus(state=RunState.EXITED, exit_code=0), told
    assert read_exit((out / "exit.json").read_bytes()) == AgentExit(code=0, signal=None, reason=ExitReason.EXITED)
    result = [event for event in events if event["type"] == "result"]
    assert [(event["is_error"], event["terminal_reason"]) for event in result] == [(False, "completed")], told
    assert (tree / "calc.py").read_text(encoding="utf-8") == "def add(a, b):\n    return a + b\n", told
    assert not (tree / "old.py").exists(), told
    assert (tree / "docs" / "notes.txt").read_text(encoding="utf-8") == "notes\n", told
    assert (tree / "run.sh").stat().st_mode & 0o777 == 0o755, told
    assert {request["key"] for request in requests} == {PLACEHOLDER}
    assert "Guidance of the base commit." in json.dumps(requests[-1]["body"]["system"])
    answers = [
        (block["tool_use_id"], bool(block.get("is_error")))
        for event in events
        if event["type"] == "user"
        for block in event["message"]["content"]
    ]
    assert answers == [(f"toolu_{number}", number >= 5) for number in range(8)], told
    podman_host.containers.remove(spec.name)


def test_the_real_agent_lives_through_a_restart_of_the_daemon(podman_host: PodmanLab) -> None:
    tree = podman_host.directory("tree")
    (tree / "calc.py").write_text("def add(a, b):\n    return a - b\n", encoding="utf-8")
    (tree / "old.py").write_text("gone = True\n", encoding="utf-8")
    path = podman_host.directory("sockets") / "model.sock"
    argv = claude_argv(TIER, session_id=str(uuid.uuid4()), max_micro_usd=500_000)
    spec = agent(podman_host, argv, claude_environment("oauth", PLACEHOLDER), prompt="Please mend the sum.")
    with scripted_model(path, dies_in_turn=1) as before:
        podman_host.containers.start(spec)
        eventually(lambda: len(before) >= 2)
    # The socket is gone now: the agent's next try is a connection that the relay holds.
    held = f"grep -c ':{MODEL_PORT:04X} [0-9A-F]*:[0-9A-F]* 01 ' /proc/net/tcp"
    eventually(lambda: inside(podman_host, f"{spec.name}-relay", held)[0] == 0)
    assert podman_host.containers.status(spec.name).state is RunState.RUNNING
    assert podman_host.containers.start(spec) is False
    with scripted_model(path) as after:
        status = ended(podman_host, spec)
    events = (podman_host.directory("out") / "events.jsonl").read_text(encoding="utf-8")
    assert status.exit_code == 0, events[-4000:]
    assert (tree / "calc.py").read_text(encoding="utf-8") == "def add(a, b):\n    return a + b\n"
    assert len(before) >= 2
    assert len(after) >= len(TURNS) - 2
    podman_host.containers.remove(spec.name)
