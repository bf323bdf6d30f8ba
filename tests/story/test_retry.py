"""A run that ended without a merge goes on, and what happened in it can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcp_ashigaru.client import CallRefused
from mcp_ashigaru.stores import open_spending
from runner.logs import Cursor
from runner.sandboxes import Role
from runner.spending import Asking, Reserved
from tests.fakes.behaviours import AgentAtWork, Behaviour, judges, works
from tests.story.house import Foreman, git
from tests.story.scenes import RIGHT, WRONG, bare, branches, held, house_of, passes_when, started, writes
from tests.story.test_review import push

pytestmark = pytest.mark.slow

BASE = "total = 0\n"


def remembers(seen: list[tuple[str, str]], text: str) -> Behaviour:
    """An agent that writes `text`, and notes what it was told and what it found."""

    def work(agent: AgentAtWork) -> None:
        seen.append((agent.prompt, (agent.tree / "total.py").read_text(encoding="utf-8")))
        (agent.tree / "total.py").write_text(text, encoding="utf-8")
        agent.result()

    return works(work)


def with_widgets(foreman: Foreman, source: Path) -> None:
    foreman.daemon.forge.add(str(source), "widgets")


def retried(foreman: Foreman, run_id: str, **arguments: Any) -> dict[str, Any]:
    assert foreman.call("retry", run_id=run_id, **arguments)["run_id"] == run_id
    return foreman.at_rest(run_id)


def test_an_escalated_run_goes_on_from_its_last_commit_at_the_tier_it_reached(state: Path, source: Path) -> None:
    seen: list[tuple[str, str]] = []
    agents = {1: writes(WRONG), 2: writes("total = 3\n"), 3: writes("total = 4\n"), 4: remembers(seen, RIGHT)}
    with house_of(state, agents, passes_when(RIGHT)).daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "escalated"
        (kept,) = branches(state).values()
        told = retried(foreman, run_id)
        assert told["phase"] == "awaiting_review"
        assert [one["tier"] for one in told["tiers_tried"]] == ["small", "large", "huge", "huge"]
        ((prompt, found),) = seen
        assert found == "total = 4\n"
        assert "wrong total" in prompt
        assert git(bare(state), "rev-parse", f"{told['head_sha']}^") == kept
        assert foreman.call("promote", repo="widgets", pr=1)["promoted"]
        with pytest.raises(CallRefused, match="merged"):
            foreman.call("retry", run_id=run_id)


def test_from_the_start_forgets_the_work(state: Path, source: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    agents = {n: writes(f"total = {n + 2}\n") for n in (1, 2, 3)} | {4: remembers(seen, RIGHT)}
    with house_of(state, agents, passes_when(RIGHT)).daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        foreman.at_rest(run_id)
        tip = push(state, tmp_path, "main", "other.py", "x = 1\n")
        told = retried(foreman, run_id, from_start=True)
        assert told["phase"] == "awaiting_review"
        assert [one["tier"] for one in told["tiers_tried"]] == ["small", "large", "huge", "small"]
        ((prompt, found),) = seen
        assert found == BASE
        assert "wrong total" not in prompt
        assert git(bare(state), "rev-parse", f"{told['head_sha']}^") == tip


def test_a_run_that_a_red_base_blocked_starts_on_the_base_as_it_is_now(
    state: Path, source: Path, tmp_path: Path
) -> None:
    def check(tree: Path, _out: Path) -> tuple[int, bytes]:
        return (0, b"fine\n") if (tree / "repaired.py").exists() else (1, b"the base is broken\n")

    with house_of(state, {n: writes(RIGHT) for n in range(1, 5)}, judges(check)).daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "blocked"
        assert retried(foreman, run_id)["phase"] == "blocked"
        tip = push(state, tmp_path, "main", "repaired.py", "x = 1\n")
        told = retried(foreman, run_id)
        assert told["phase"] == "awaiting_review", told
        assert git(bare(state), "rev-parse", f"{told['head_sha']}^") == tip


def test_work_that_no_gate_could_judge_is_judged_again_and_no_agent_is_paid_twice(state: Path, source: Path) -> None:
    broken = [True]

    def check(tree: Path, _out: Path) -> tuple[int, bytes]:
        silent = broken[0] and (tree / "total.py").read_text(encoding="utf-8") == RIGHT
        return (137, b"") if silent else (0, b"fine\n")

    house = house_of(state, {1: writes(RIGHT)}, judges(check))
    with house.daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "escalated"
        broken[0] = False
        told = retried(foreman, run_id)
        assert told["phase"] == "awaiting_review"
        assert len(started(house, Role.AGENT)) == 1
        assert foreman.call("promote", repo="widgets", pr=1)["promoted"]


def test_a_run_cancelled_under_review_is_under_review_again(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        first = foreman.at_rest(run_id)
        foreman.call("cancel", run_id=run_id)
        with pytest.raises(CallRefused, match="--from-start"):
            foreman.call("retry", run_id=run_id, from_start=True)
        told = retried(foreman, run_id)
        assert (told["phase"], told["head_sha"]) == ("awaiting_review", first["head_sha"])
        assert len(started(house, Role.AGENT)) == 1
        assert foreman.call("promote", repo="widgets", pr=1)["promoted"]


def test_a_run_that_is_live_or_whose_issue_another_run_holds_is_not_retried(state: Path, source: Path) -> None:
    first, second = held(RIGHT), held(RIGHT)
    agents = iter((first, second))
    chosen: dict[str, Behaviour] = {}

    house = house_of(state, {}, passes_when(RIGHT))
    usual = house.containers._behaviours

    def behaviour(spec: Any) -> Behaviour:
        if spec.role is not Role.AGENT:
            return usual(spec)
        return chosen.setdefault(spec.name, next(agents))

    house.containers._behaviours = behaviour
    with house.daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        assert first.reached.wait(20)
        with pytest.raises(CallRefused, match="cancel it first"):
            foreman.call("retry", run_id=run_id)
        foreman.call("cancel", run_id=run_id)
        foreman.at_rest(run_id)
        other = foreman.work()
        assert other != run_id
        with pytest.raises(CallRefused, match="Another run is live"):
            foreman.call("retry", run_id=run_id)
        assert foreman.call("status", run_id=run_id)["phase"] == "cancelled"
        second.release()
        assert foreman.at_rest(other)["phase"] == "awaiting_review"
        with pytest.raises(CallRefused, match="No run is called"):
            foreman.call("retry", run_id="widgets-1-aaaaaa")


def test_a_run_without_money_is_not_retried(state: Path, source: Path) -> None:
    house = house_of(
        state, {n: writes(WRONG) for n in (1, 2, 3)}, passes_when(RIGHT), bounds={"run_micro_usd": 5_000_000}
    )
    with house.daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        foreman.at_rest(run_id)
        with open_spending(house.settings(1)) as books:
            asking = Asking(run_id=run_id, attempt=1, repo="widgets", run_bound=5_000_000, estimate=1)
            reserved = books.reserve(asking)
            assert isinstance(reserved, Reserved)
            books.settle(reserved.id, 5_000_000)
        with pytest.raises(CallRefused, match="used up"):
            foreman.call("retry", run_id=run_id)


def test_a_retry_survives_a_restart(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    agents = {n: writes(WRONG) for n in (1, 2, 3)} | {4: agent}
    house = house_of(state, agents, passes_when(RIGHT))
    with house.daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "escalated"
        foreman.call("retry", run_id=run_id)
        assert agent.reached.wait(20)
    agent.release()
    with house.daemon() as foreman:
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"


def test_logs_are_read_on_from_their_cursor_and_every_line_is_told_once(state: Path, source: Path) -> None:
    agents = {1: writes("total = 2 \x1b[31mred\n"), 2: writes(RIGHT)}
    with house_of(state, agents, passes_when(RIGHT)).daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        foreman.at_rest(run_id)
        whole = foreman.call("logs", run_id=run_id, limit=500)
        assert not whole["more"]
        kinds = [(one["source"], one["kind"]) for one in whole["entries"]]
        for wanted in (("agent", "tool"), ("agent", "ended"), ("gate", "failed"), ("gate", "passed")):
            assert wanted in kinds
        red = next(one for one in whole["entries"] if one["kind"] == "failed")
        assert "wrong total" in red["detail"]
        assert red["attempt"] == 1
        pieces: list[dict[str, Any]] = []
        cursor, more = str(Cursor()), True
        while more:
            piece = foreman.call("logs", run_id=run_id, since=cursor, limit=2)
            assert len(piece["entries"]) <= 2
            pieces += piece["entries"]
            cursor, more = piece["cursor"], piece["more"]
        assert pieces == whole["entries"]
        assert foreman.call("logs", run_id=run_id, since=whole["cursor"])["entries"] == []
        last = foreman.call("logs", run_id=run_id, limit=3)
        assert last["entries"] == whole["entries"][-3:]
        second = foreman.call("logs", run_id=run_id, attempt=2)["entries"]
        assert second == [one for one in whole["entries"] if one["attempt"] == 2]
        gates = foreman.call("logs", run_id=run_id, source="gate")["entries"]
        assert {one["source"] for one in gates} == {"gate"}
        for wrong in ({"since": "last"}, {"limit": 0}, {"limit": 501}, {"attempt": -1}, {"source": "podman"}):
            with pytest.raises(CallRefused):
                foreman.call("logs", run_id=run_id, **wrong)


def test_the_diff_of_a_run_shows_what_is_hidden_in_it(state: Path, source: Path) -> None:
    hidden = "total = 1  # \u202e\x1b[2Jsafe\n"
    with house_of(state, {1: writes(hidden)}, passes_when("total = 1")).daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        found = foreman.call("diff", run_id=run_id)
        assert "+total = 1  # <U+202E><U+001B>[2Jsafe" in found["diff"]
        assert found["files"] == [{"path": "total.py", "added": 1, "removed": 1, "binary": False}]
        assert (found["head_sha"], found["truncated"]) == (told["head_sha"], False)
        short = foreman.call("diff", run_id=run_id, max_bytes=256)
        assert len(short["diff"].encode()) <= 256
        foreman.call("promote", repo="widgets", pr=1)
        with pytest.raises(CallRefused, match="merged"):
            foreman.call("diff", run_id=run_id)


def test_a_run_without_work_has_no_diff(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    with house_of(state, {1: agent}, passes_when(RIGHT)).daemon() as foreman:
        with_widgets(foreman, source)
        run_id = foreman.work()
        assert agent.reached.wait(20)
        with pytest.raises(CallRefused, match="no work to show"):
            foreman.call("diff", run_id=run_id)
        agent.release()
        foreman.at_rest(run_id)
