"""The front of a whole daemon: both wires over HTTP, stdio in a process of its own, and how it leaves."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.stores import open_forge
from runner.sandboxes import SandboxSpec
from tests.fakes.behaviours import Behaviour, Held
from tests.fakes.containers import FakeContainers
from tests.story.house import House, free_port, repository

# Most of them start a daemon in a process of its own.
pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
FILES = {"total.py": "total = 0\n", ".ashigaru.toml": '[[gate]]\nname = "test"\nrun = "check"\n'}
LEAVING_S = 5
PATIENCE_S = 30
HEAP_BYTES = 64 << 20


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ash", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return repository(tmp_path / "widgets", FILES)


def argv(state: Path, port: int, transport: str, agent: str) -> list[str]:
    return ["-m", "tests.fakes.served", str(state), str(port), transport, agent]


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"}


@contextmanager
def served(state: Path, port: int, agent: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in a process of its own that has said that it serves."""
    with (state / "stderr").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *argv(state, port, "streamable-http", agent)],
            cwd=PROJECT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        asyncio.run(asyncio.wait_for(_answers(process, port), PATIENCE_S))
        yield process
    finally:
        process.kill()
        process.communicate()


async def _answers(process: subprocess.Popen[bytes], port: int) -> None:
    async with httpx.AsyncClient() as client:
        while True:
            assert process.poll() is None
            try:
                await client.get(f"http://127.0.0.1:{port}/healthz")
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
            else:
                return


@asynccontextmanager
async def at(port: int, mode: str = "auto") -> AsyncIterator[Client]:
    async with Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp"), mode=mode) as client:
        yield client


async def _call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return dict(result.structured_content or {})


async def _rested(client: Client, run_id: str) -> dict[str, Any]:
    told = await _call(client, "status", run_id=run_id)
    while told["phase"] != "awaiting_review":
        assert told["phase"] in {"queued", "preparing", "agent", "gate", "publishing"}, told
        told = await _call(client, "status", run_id=run_id, since=told["cursor"], wait_s=5)
    return told


def furnish(state: Path, source: Path) -> None:
    open_forge(load_settings(state_dir=state)).add(str(source), "widgets")


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
def test_both_wires_work_a_ticket_to_its_merge_over_http(
    state: Path, source: Path, mode: Literal["legacy", "auto"]
) -> None:
    port = free_port()
    furnish(state, source)

    async def foreman() -> None:
        async with at(port, mode) as client:
            ticket = await _call(client, "work_ticket", repo="widgets", issue=1, brief="Totals are off by one.")
            told = await _rested(client, ticket["run_id"])
            merged = await _call(
                client, "promote", repo="widgets", pr=told["pull"]["number"], head_sha=told["head_sha"]
            )
            assert merged["promoted"]
            assert (await _call(client, "list_runs"))["runs"][0]["status"] == "merged"

    with served(state, port, "writes"):
        asyncio.run(asyncio.wait_for(foreman(), PATIENCE_S))


def test_stdio_carries_mcp_and_nothing_else_and_the_forge_answers_on_the_port(state: Path, source: Path) -> None:
    port = free_port()
    furnish(state, source)

    async def foreman() -> None:
        parameters = StdioServerParameters(
            command=sys.executable, args=argv(state, port, "stdio", "writes"), env=environment(), cwd=PROJECT
        )
        with (state / "stderr").open("w", encoding="utf-8") as log:
            async with Client(stdio_client(parameters, errlog=log)) as client:
                ticket = await _call(client, "work_ticket", repo="widgets", issue=1, brief="Totals are off by one.")
                told = await _rested(client, ticket["run_id"])
                async with httpx.AsyncClient() as web:
                    page = await web.get(told["pull"]["url"])
                assert page.status_code == 200
                assert "+total = 1" in page.text

    asyncio.run(asyncio.wait_for(foreman(), PATIENCE_S))


def test_every_line_on_stdout_is_a_message_and_the_end_of_input_ends_the_daemon(state: Path) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize"} | {
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
    }
    with (state / "stderr").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *argv(state, free_port(), "stdio", "writes")],
            cwd=PROJECT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(hello).encode() + b"\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    assert answer["result"]["serverInfo"]["name"] == "mcp-ashigaru"
    rest, _ = process.communicate(timeout=PATIENCE_S)
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())
    assert process.returncode == 0
    assert b"serving MCP on" in (state / "stderr").read_bytes()


def test_a_signal_ends_a_stdio_daemon_whose_client_is_silent(state: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, *argv(state, port, "stdio", "writes")],
        cwd=PROJECT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        asyncio.run(asyncio.wait_for(_answers(process, port), PATIENCE_S))
        process.send_signal(signal.SIGTERM)
        assert process.wait(LEAVING_S) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("agent", ["waits", "hangs", "stuck"])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_daemon_while_an_agent_works_and_a_status_waits(
    state: Path, source: Path, agent: str, sig: signal.Signals
) -> None:
    port = free_port()
    furnish(state, source)

    async def foreman(process: subprocess.Popen[bytes]) -> None:
        async with at(port) as client:
            ticket = await _call(client, "work_ticket", repo="widgets", issue=1, brief="Totals are off by one.")
            told = await _call(client, "status", run_id=ticket["run_id"])
            while told["phase"] != "agent":
                told = await _call(client, "status", run_id=ticket["run_id"], since=told["cursor"], wait_s=5)
            pending = asyncio.ensure_future(
                _call(client, "status", run_id=ticket["run_id"], since=told["cursor"] + 50, wait_s=60)
            )
            # A second answer after the first says that the daemon has the pending call in hand.
            await _call(client, "list_runs")
            process.send_signal(sig)
            assert (await pending)["phase"] == "agent"

    with served(state, port, agent) as process:
        asyncio.run(asyncio.wait_for(foreman(process), PATIENCE_S))
        assert process.wait(LEAVING_S) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b""
    assert b"Traceback" not in (state / "stderr").read_bytes(), (state / "stderr").read_text(encoding="utf-8")


def test_two_clients_wait_for_one_change_and_both_are_told(state: Path, source: Path) -> None:
    agent = Held(first=lambda _agent: None, then=lambda at_work: at_work.result())

    def behaviour(_spec: SandboxSpec) -> Behaviour:
        return agent

    house = House(state=state, containers=FakeContainers(behaviour))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.until(run_id, lambda seen: seen["phase"] == "agent")
        assert agent.reached.wait(20)
        answers: list[dict[str, Any]] = []
        waiting = [
            threading.Thread(
                target=lambda: answers.append(
                    foreman.call("status", run_id=run_id, since=told["cursor"], wait_s=20),
                )
            )
            for _ in range(2)
        ]
        for one in waiting:
            one.start()
        foreman.call("cancel", run_id=run_id)
        for one in waiting:
            one.join(25)
        assert len(answers) == 2
        assert all(one["cursor"] > told["cursor"] for one in answers)


def heaps(pid: int) -> int:
    """How many heaps glibc has beside the first: each at a multiple of its 64 MiB, with what it has not used behind."""
    told = [line.split()[:2] for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()]
    places = [(*(int(end, 16) for end in span.split("-")), rights) for span, rights in told]
    return sum(
        begin % HEAP_BYTES == 0
        and last == begin + HEAP_BYTES
        and (rights, behind) == ("rw-p", "---p")
        and end == next_begin
        for (begin, end, rights), (next_begin, last, behind) in pairwise(places)
    )


def test_a_daemon_that_serves_has_one_heap_for_all_its_threads(state: Path, source: Path) -> None:
    furnish(state, source)

    async def work(port: int) -> None:
        async with at(port) as client:
            told = await _call(client, "work_ticket", repo="widgets", issue=1, brief="Totals are off by one.")
            await _rested(client, told["run_id"])

    port = free_port()
    with served(state, port, "writes") as process:
        asyncio.run(asyncio.wait_for(work(port), PATIENCE_S))
        assert heaps(process.pid) == 0


def test_the_whole_daemon_keeps_its_door(state: Path, source: Path) -> None:
    house = House(state=state, containers=FakeContainers(lambda _spec: pytest.fail("nothing is started")))
    house.changes["mcp_token"] = "tok-n"
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        with httpx.Client(base_url=foreman.url) as web:
            for path in ("/mcp", "/healthz", "/forge/widgets/pulls/1", "/forge/widgets.git/HEAD"):
                assert web.get(path, headers={"host": "evil.example"}).status_code == 421
                assert web.get(path, headers={"origin": "http://evil.example"}).status_code == 403
            assert web.get("/healthz").status_code == 200
            for path in ("/mcp", "/forge/widgets/pulls/1"):
                assert web.post(path).status_code == web.get(path).status_code == 401
            clone = "/forge/widgets.git/info/refs?service=git-upload-pack"
            assert web.get(clone).status_code == 401
            shown = base64.b64encode(b"ashigaru:tok-n").decode()
            assert web.get(clone, headers={"authorization": f"Basic {shown}"}).status_code == 401
            page = web.get("/forge/widgets/pulls/1", headers={"authorization": f"Basic {shown}"})
            assert page.status_code == 404
