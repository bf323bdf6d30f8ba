"""What a sandbox may reach, asserted from inside it; and the real agent at work in one."""

from __future__ import annotations

import json
import shlex
import socket
import socketserver
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from podman import PodmanClient

from runner.launch import SYSTEM_PROMPT, AgentExit, ExitReason, claude_argv, claude_environment, launch_file, read_exit
from runner.model import Tier
from runner.sandbox import MODEL_PORT, Owner, agent_spec, gate_spec, setup_spec
from runner.sandboxes import RunState, SandboxSpec, SandboxStatus
from tests.sandbox.podman_lab import PodmanLab

pytestmark = pytest.mark.podman

OWNER = Owner(run_id="sealed", attempt=1, host="h1")
TIER = Tier(name="sonnet", model="sonnet", effort="medium", max_turns=10, max_micro_usd=1_000_000, wall_s=60, idle_s=60)
PLACEHOLDER = "placeholder-of-this-attempt"

PROBE = r"""
import glob, json, os, socket, stat
def attempt(deed):
    try:
        deed()
        return "done"
    except OSError as fault:
        return type(fault).__name__ + " " + str(fault.errno)
def reach(host, port):
    with socket.create_connection((host, port), 2): pass
def touch(path):
    with open(path, "w"): pass
status = dict(line.split(":\t") for line in open("/proc/self/status") if ":\t" in line)
sockets = []
for top, folders, files in os.walk("/"):
    folders[:] = [f for f in folders if os.path.join(top, f) not in ("/proc", "/sys", "/usr")]
    for name in files:
        try:
            if stat.S_ISSOCK(os.lstat(os.path.join(top, name)).st_mode): sockets.append(os.path.join(top, name))
        except OSError: pass
print(json.dumps({
    "caps": [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no_new_privs": int(status["NoNewPrivs"]), "seccomp": int(status["Seccomp"]),
    "uid": os.getuid(),
    "interfaces": sorted(line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]),
    "routes": len(open("/proc/net/route").readlines()) - 1,
    "dns": attempt(lambda: socket.getaddrinfo("example.com", 443)),
    "outside": attempt(lambda: reach("192.0.2.1", 443)),
    "root": [attempt(lambda p=p: touch(p + "/x")) for p in ("", "/etc", "/usr", "/var/tmp", "/run", "/ashigaru")],
    "tmp": attempt(lambda: touch("/tmp/x")),
    "granted": {p: attempt(lambda p=p: touch(p + "/x")) for p in
        ("/workspace", "/ashigaru/in", "/ashigaru/out", "/ashigaru/env", "/ashigaru/sockets") if os.path.isdir(p)},
    "sockets": sorted(sockets),
    "mounts": sorted(line.split()[1] for line in open("/proc/mounts")
        if not line.split()[1].startswith(("/proc", "/sys", "/dev"))),
    "tmp_options": [line.split()[3] for line in open("/proc/mounts") if line.split()[1] == "/tmp"][0].split(","),
    "environ": dict(os.environ), "first_environ": open("/proc/1/environ").read(),
}))
"""

ENGINE_FILES = {"/", "/tmp", "/etc/hosts", "/etc/hostname", "/etc/passwd", "/etc/group", "/run/.containerenv"}  # noqa: S108
READ_ONLY = "OSError 30"


def ended(lab: PodmanLab, spec: SandboxSpec, within_s: float = 60) -> SandboxStatus:
    """The status once the sandbox has ended."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.05)):
        status = lab.containers.status(spec.name)
        if status.state is not RunState.RUNNING:
            return status
        pause.wait(0.05)
    raise AssertionError(lab.said())


def eventually(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(600):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("it did not come to pass")


def gate(lab: PodmanLab, script: str, env_dir: Path | None = None) -> SandboxSpec:
    return gate_spec(
        owner=OWNER,
        what="probe",
        take=1,
        image=lab.gate_image,
        tree=str(lab.directory("tree")),
        out_dir=str(lab.directory("out")),
        env_dir=str(env_dir) if env_dir is not None else None,
        script=script,
    )


def agent(lab: PodmanLab, argv: tuple[str, ...], environment: dict[str, str], prompt: str = "Say it.") -> SandboxSpec:
    folder = lab.directory("in")
    (folder / "launch.json").write_bytes(launch_file(argv, environment))
    (folder / "prompt.txt").write_text(prompt, encoding="utf-8")
    return agent_spec(
        owner=OWNER,
        image=lab.agent_image,
        relay_image=lab.relay_image,
        tree=str(lab.directory("tree")),
        in_dir=str(folder),
        out_dir=str(lab.directory("out")),
        socket_dir=str(lab.directory("sockets")),
        hold_s=30,
    )


def assert_sealed(seen: dict[str, Any]) -> None:
    assert seen["caps"] == [0, 0, 0, 0, 0]
    assert (seen["no_new_privs"], seen["seccomp"]) == (1, 2)
    assert seen["uid"] != 0
    assert (seen["interfaces"], seen["routes"]) == (["lo"], 0)
    assert seen["dns"].startswith("gaierror")
    assert seen["outside"] == "OSError 101"
    assert set(seen["root"]) <= {READ_ONLY, "PermissionError 13"}
    assert READ_ONLY in seen["root"]
    assert seen["tmp"] == "done"
    assert {"nosuid", "nodev"} <= set(seen["tmp_options"])


def test_a_gate_is_sealed(podman_host: PodmanLab) -> None:
    spec = gate(podman_host, f"python3 -c {shlex.quote(PROBE)}", env_dir=podman_host.directory("env"))
    podman_host.containers.start(spec)
    status = ended(podman_host, spec)
    assert status.exit_code == 0
    seen = json.loads(podman_host.containers.output(spec.name, 100_000))
    assert_sealed(seen)
    assert seen["granted"] == {"/workspace": "done", "/ashigaru/out": "done", "/ashigaru/env": READ_ONLY}
    assert seen["sockets"] == []
    extra = {"/workspace", "/ashigaru/out", "/ashigaru/env"}
    assert set(seen["mounts"]) - {"/etc/resolv.conf"} == ENGINE_FILES | extra
    allowed = {"HOME", "HOSTNAME", "LANG", "PATH", "PWD", "TERM", "TMPDIR", "container"}
    assert set(seen["environ"]) <= allowed
    podman_host.containers.remove(spec.name)


def test_an_agent_is_sealed(podman_host: PodmanLab) -> None:
    environment = claude_environment("api_key", PLACEHOLDER)
    spec = agent(podman_host, ("/usr/bin/python3", "-c", PROBE), environment)
    with listening(podman_host.directory("sockets") / "model.sock"):
        podman_host.containers.start(spec)
        status = ended(podman_host, spec)
    events = podman_host.directory("out") / "events.jsonl"
    assert status.exit_code == 0, (events.parent / "stderr.txt").read_text(encoding="utf-8")
    seen = json.loads(events.read_text(encoding="utf-8"))
    assert_sealed(seen)
    assert seen["granted"] == {
        "/workspace": "done",
        "/ashigaru/in": READ_ONLY,
        "/ashigaru/out": "done",
        "/ashigaru/sockets": READ_ONLY,
    }
    assert seen["sockets"] == ["/ashigaru/sockets/model.sock"]
    extra = {"/workspace", "/ashigaru/in", "/ashigaru/out", "/ashigaru/sockets"}
    assert set(seen["mounts"]) - {"/etc/resolv.conf"} == ENGINE_FILES | extra
    assert set(seen["environ"]) <= {*environment, "PWD"}
    assert PLACEHOLDER not in seen["first_environ"]
    podman_host.containers.remove(spec.name)


def test_the_relay_is_sealed_too(podman_host: PodmanLab) -> None:
    script = "python3 -c 'import time; time.sleep(60)'"
    spec = setup_spec(
        owner=OWNER,
        key="relay",
        image=podman_host.gate_image,
        relay_image=podman_host.relay_image,
        tree=str(podman_host.directory("tree")),
        env_dir=str(podman_host.directory("env")),
        socket_dir=str(podman_host.directory("sockets")),
        script=script,
    )
    podman_host.containers.start(spec)
    code, printed = inside(podman_host, f"{spec.name}-relay", "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/1/status")
    assert code == 0
    assert dict(line.split(":\t") for line in printed.splitlines()) == {
        "CapEff": "0" * 16,
        "NoNewPrivs": "1",
        "Seccomp": "2",
    }
    podman_host.containers.remove(spec.name)


def inside(lab: PodmanLab, name: str, script: str) -> tuple[int, str]:
    """Run a shell script in a container that is up."""
    with PodmanClient(base_url=lab.url, timeout=30) as client:
        code, printed = client.containers.get(name).exec_run(["sh", "-c", script], demux=True)
    assert isinstance(printed, tuple)
    return int(code or 0), (printed[0] or b"").decode("utf-8")


@contextmanager
def listening(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield
    path.unlink()


# --- the real agent ------------------------------------------------------------------------------------------

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
