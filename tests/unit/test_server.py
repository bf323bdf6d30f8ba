"""What a caller is told, on both wires: typed answers, and for everything that goes wrong one sentence."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, Tool

from mcp_ashigaru.server import INSTRUCTIONS, build_server, sentence
from mcp_ashigaru.toolsets.asking import CALLER, desk_of
from runner.errors import ForgeDown
from runner.estimate import Place
from runner.intents import WorkTicket
from runner.model import Phase
from runner.pool import PoolSeen
from runner.promoting import NotPromoted, Promoted
from runner.records import RunRecord
from runner.service import Service
from runner.spending import Halt, Today

WIRES: list[Literal["legacy", "2026-07-28"]] = ["legacy", "2026-07-28"]
WRITES = {"work_ticket", "promote", "request_changes", "retry", "cancel"}
READS = {"status", "list_runs", "logs", "diff", "ledger"}
RUN = RunRecord(
    run_id="widgets-1-abcdef",
    repo="widgets",
    issue=1,
    brief="b",
    model=None,
    phase=Phase.QUEUED,
    base_branch="main",
    branch="ashigaru/1-abcdef",
    created_at=1.0,
    updated_at=2.0,
    start_tier=0,
)


class Told(Service):
    """A service that does as it was told: answers, or raises."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.asked: list[WorkTicket] = []

    def work_ticket(self, intent: WorkTicket) -> RunRecord:
        self.asked.append(intent)
        return self.answer()  # type: ignore[no-any-return]

    def promote(self, intent: object) -> Promoted | NotPromoted:  # noqa: ARG002 - the service's signature
        return self.answer()  # type: ignore[no-any-return]

    def list_runs(
        self,
        *,
        repo: str | None = None,  # noqa: ARG002 - same
        phases: frozenset[Phase] | None = None,  # noqa: ARG002 - same
        owner: str | None = None,  # noqa: ARG002 - same
        limit: int = 20,  # noqa: ARG002 - same
    ) -> list[RunRecord]:
        return self.answer()  # type: ignore[no-any-return]

    def pool_seen(self, runs: Sequence[RunRecord]) -> dict[str, PoolSeen]:
        place = Place(place=2, of=3, starts_in_s=None, earlier=0)
        return {run.run_id: PoolSeen(place=place) for run in runs}

    def today(self, repo: str | None = None) -> Today:  # noqa: ARG002 - same
        return Today(spent=1_250_000, bound=0, halt=Halt(reason="The bill looks odd.", at=1.0))


def fails(fault: BaseException) -> Callable[[], Any]:
    def raises() -> Any:
        raise fault

    return raises


def call(wire: Literal["legacy", "2026-07-28"], service: Service, tool: str, **arguments: Any) -> CallToolResult:
    async def once() -> CallToolResult:
        async with Client(build_server(service, threading.Event()), mode=wire) as client:
            return await client.call_tool(tool, arguments)

    return asyncio.run(asyncio.wait_for(once(), 20))


def said(result: CallToolResult) -> str:
    assert result.is_error
    assert result.structured_content is None
    (block,) = result.content
    assert isinstance(block, TextContent)
    assert "\n" not in block.text
    assert len(block.text) < 200
    assert "Error executing" not in block.text
    assert "pydantic" not in block.text
    return block.text


def tools(wire: Literal["legacy", "2026-07-28"]) -> dict[str, Tool]:
    async def once() -> dict[str, Tool]:
        async with Client(build_server(Told(list), threading.Event()), mode=wire) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    return asyncio.run(asyncio.wait_for(once(), 20))


@pytest.mark.parametrize("wire", WIRES)
def test_every_tool_says_what_it_does_what_it_takes_and_what_it_answers(wire: Literal["legacy", "2026-07-28"]) -> None:
    found = tools(wire)
    assert set(found) == READS | WRITES
    for name, tool in found.items():
        assert tool.title or (tool.annotations and tool.annotations.title), name
        assert tool.description
        assert all(one.get("description") for one in tool.input_schema["properties"].values()), name
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
        assert tool.output_schema["properties"], name


@pytest.mark.parametrize("wire", WIRES)
def test_every_tool_says_whether_it_reads_writes_or_destroys(wire: Literal["legacy", "2026-07-28"]) -> None:
    hints = {name: tool.annotations for name, tool in tools(wire).items()}
    assert {name for name, hint in hints.items() if hint and hint.read_only_hint} == READS
    assert {name for name, hint in hints.items() if hint and hint.read_only_hint is False} == WRITES
    assert {name for name, hint in hints.items() if hint and hint.destructive_hint} == {"promote", "cancel"}


def test_the_seeds_three_tools_keep_their_names_and_arguments() -> None:
    takes = {
        name: (tool.input_schema["properties"], tool.input_schema.get("required"))
        for name, tool in tools("legacy").items()
    }
    assert list(takes["work_ticket"][0])[:4] == ["repo", "issue", "brief", "model"]
    assert takes["work_ticket"][1] == ["repo", "issue", "brief"]
    assert takes["status"][1] == ["run_id"]
    assert list(takes["promote"][0])[:2] == takes["promote"][1] == ["repo", "pr"]


@pytest.mark.parametrize("left", [{}, {CALLER: None}, {CALLER: "operator"}, {"user": "operator"}])
def test_a_request_that_passed_no_door_is_nobodys(left: dict[str, object]) -> None:
    ctx: Any = SimpleNamespace(request_context=SimpleNamespace(request=SimpleNamespace(scope=left)))
    with pytest.raises(ToolError, match="who asks"):
        desk_of(ctx, Told(list))


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_is_structured(wire: Literal["legacy", "2026-07-28"]) -> None:
    result = call(wire, Told(lambda: RUN), "work_ticket", repo="widgets", issue=1, brief="b")
    assert result.structured_content == {
        "run_id": "widgets-1-abcdef",
        "repo": "widgets",
        "issue": 1,
        "status": "queued",
    }
    runs = call(wire, Told(lambda: [RUN]), "list_runs").structured_content
    assert runs is not None
    assert [(run["run_id"], run["slot"], run["place"]) for run in runs["runs"]] == [(RUN.run_id, None, 2)]
    assert (runs["day_micro_usd"], runs["halted"]) == (1_250_000, True)
    assert runs["day"] == "Today $1.25. All spending is halted: The bill looks odd."


@pytest.mark.parametrize("wire", WIRES)
def test_a_refused_promotion_is_an_answer_and_no_error(wire: Literal["legacy", "2026-07-28"]) -> None:
    refused = NotPromoted(repo="widgets", pull=1, reason="A check is red; see the pull request.")
    result = call(wire, Told(lambda: refused), "promote", repo="widgets", pr=1)
    assert not result.is_error
    assert result.structured_content == {
        "repo": "widgets",
        "pr": 1,
        "promoted": False,
        "sha": None,
        "detail": "A check is red; see the pull request.",
    }


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("tool", "arguments", "about"),
    [
        ("work_ticket", {"repo": "widgets", "issue": "four", "brief": "b"}, "issue is wrong"),
        ("work_ticket", {"repo": "widgets", "issue": 1.5, "brief": "b"}, "issue is wrong"),
        ("work_ticket", {"repo": ["widgets"], "issue": 1, "brief": "b"}, "repo is wrong"),
        ("work_ticket", {"repo": "widgets", "issue": None, "brief": "b"}, "issue is wrong"),
        ("work_ticket", {"issue": 1, "brief": "b"}, "repo is missing"),
        ("work_ticket", {"repo": "widgets", "issue": 1, "brief": "b", "modle": "opus"}, "no argument modle"),
        ("work_ticket", {"repo": "widgets", "issue": 1, "brief": "b", "x\n" * 200: 1}, "no argument"),
        ("status", {}, "run_id is missing"),
        ("status", {"run_id": "Not An Id"}, "run_id must be"),
        ("status", {"run_id": "a", "wait_s": 301}, "wait_s must be"),
        ("status", {"run_id": "a", "wait_s": "nan"}, "wait_s must be"),
        ("status", {"run_id": "a", "wait_s": -1}, "wait_s must be"),
        ("list_runs", {"limit": 0}, "limit must be"),
        ("list_runs", {"limit": 101}, "limit must be"),
        ("ledger", {"days": 0}, "days must be"),
        ("ledger", {"repo": "no/such/name"}, "repo must be"),
        ("promote", {"repo": "widgets", "pr": 1, "head_sha": "abc"}, "head_sha must be"),
        ("no_such_tool", {}, "the tools are cancel, diff, ledger, list_runs"),
        ("__class__", {"a": 1}, "no such tool"),
    ],
)
def test_what_is_wrong_with_a_call_is_one_sentence(
    wire: Literal["legacy", "2026-07-28"], tool: str, arguments: dict[str, Any], about: str
) -> None:
    service = Told(lambda: RUN)
    assert about in said(call(wire, service, tool, **arguments))
    assert service.asked == []


@pytest.mark.parametrize("wire", WIRES)
def test_a_fault_is_its_sentence(wire: Literal["legacy", "2026-07-28"]) -> None:
    service = Told(fails(ForgeDown("The forge does not answer; try again in a minute.")))
    told = said(call(wire, service, "work_ticket", repo="widgets", issue=1, brief="b"))
    assert told == "The forge does not answer; try again in a minute."


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "fault", [RuntimeError("hunter2"), KeyError("hunter2"), ValueError("1 validation error: hunter2")]
)
def test_an_exception_that_nobody_expected_says_nothing_of_its_text(
    wire: Literal["legacy", "2026-07-28"], fault: BaseException
) -> None:
    told = said(call(wire, Told(fails(fault)), "list_runs"))
    assert "hunter2" not in told
    assert "its log has the details" in told


def test_an_answer_that_does_not_fit_its_schema_says_nothing_of_itself() -> None:
    told = said(call("legacy", Told(lambda: ["hunter2"]), "list_runs"))
    assert "hunter2" not in told


def test_a_sentence_that_speaks_of_validation_is_left_alone() -> None:
    told = "The gate file has one validation error; mend it."
    assert sentence("t", f"Error executing tool t: {told}") == told


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_a_client_that_asks_is_told_how_to_use_the_tools(mode: Literal["legacy", "auto"]) -> None:
    async def once() -> str | None:
        async with Client(build_server(Told(list), threading.Event()), mode=mode) as client:
            return client.instructions

    assert asyncio.run(asyncio.wait_for(once(), 20)) == INSTRUCTIONS
