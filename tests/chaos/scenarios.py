"""What is gone through with crashes on the way: a caller's and the world's part, as goals that bear going for twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mcp_ashigaru.state_dir import mark_restored
from runner.model import CheckState
from runner.remarks import Stance
from tests.fakes.behaviours import AgentAtWork, Behaviour, Ended, Inside, works
from tests.story.house import git
from tests.story.scenes import RIGHT, WRONG, passes_when, says_hello, writes
from tests.story.worlds import GithubWorld, World

BETTER = "total = 1  # better\n"
Told = dict[str, Any]
MERGED = ("merged", "shipped")


class Asking(Protocol):
    """What a goal has to work with."""

    world: World

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's answer."""

    def once(self, key: str, deed: Callable[[], None]) -> None:
        """Done the first time that it is asked for under this key, and never again: the world is not killed."""

    def apart(self, key: str, deed: Callable[[Path], None]) -> None:
        """The daemon is killed, and the deed done to its state directory before the next start, the first time."""

    def hand(self) -> Path:
        """A new directory for a person's own clone."""


BASE_BESIDE = frozenset({"ash-gate-RUN-base started", "ash-gate-RUN-base-0-te started"})


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Gone for until `done`. deed: asked for at first, and again whenever the daemon died; it must bear that.

    due: whether the deed makes sense as things are; told is the last status. again: it is asked for with every change.
    """

    name: str
    done: Callable[[Told], bool]
    deed: Callable[[Asking, Told], None] | None = None
    due: Callable[[Told], bool] = lambda _: True
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A story from a ticket to its end. agents: by attempt. exhausted: attempts whose quota is used up.

    forges: on which of them it can be. raced: deeds that are done once or twice, crash or no crash: a round that ends
    early rightly stops the judgement of the base beside it, unless that was done first, and the next round judges it
    anew.
    """

    name: str
    agents: Mapping[int, Behaviour]
    goals: tuple[Goal, ...]
    gate: Behaviour = field(default_factory=lambda: passes_when("total = 1"))
    exhausted: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    raced: frozenset[str] = frozenset()
    forges: tuple[str, ...] = ("local", "github")


def waits_to_be_stopped(text: str, name: str = "total.py") -> Behaviour:
    """An agent that writes `text` and then goes on until it is stopped."""

    def work(agent: AgentAtWork) -> int:
        says_hello(agent)
        (agent.tree / name).write_text(text, encoding="utf-8")
        agent.inside.stopping.wait(60)
        return 143

    return works(work)


def gate_that_takes(seconds: float, then: Behaviour) -> Behaviour:
    """A gate that can be met in mid-flight."""

    def behaviour(inside: Inside) -> Ended:
        inside.stopping.wait(seconds)
        return Ended(code=143) if inside.stopping.is_set() else then(inside)

    return behaviour


# --- goals ---------------------------------------------------------------------------------------------------


def in_phase(*phases: str) -> Callable[[Told], bool]:
    return lambda told: told["phase"] in phases


def _tried(count: int) -> Callable[[Told], bool]:
    return lambda told: told["phase"] == "awaiting_review" and len(told["tiers_tried"]) >= count


def _promote(asking: Asking, told: Told) -> None:
    asking.call("promote", repo=asking.world.repo, pr=told["pull"]["number"], head_sha=told["head_sha"])


def _request(asking: Asking, told: Told) -> None:
    asking.call("request_changes", run_id=told["run_id"], notes="Say it better.")


def _move_main(asking: Asking, _: Told) -> None:
    def push() -> None:
        where = asking.hand()
        git(where, "clone", "--quiet", str(asking.world.bare), "by-hand")
        (where / "by-hand" / "other.py").write_text("x = 1\n", encoding="utf-8")
        git(where / "by-hand", "add", "--all", ".")
        git(where / "by-hand", "commit", "--quiet", "-m", "by hand")
        git(where / "by-hand", "push", "--quiet", "origin", "main")

    asking.once("main moved", push)


def _promote_moved(asking: Asking, told: Told) -> None:
    _move_main(asking, told)
    _promote(asking, told)


def _report(state: CheckState) -> Callable[[Asking, Told], None]:
    def deed(asking: Asking, told: Told) -> None:
        head = told["head_sha"]
        asking.once(f"{state} {head}", lambda: asking.world.report(head, "build", state, log="error: no total\n"))

    return deed


def _remark(asking: Asking, told: Told) -> None:
    number = told["pull"]["number"]
    asking.once(
        "remark", lambda: str(asking.world.review(number, Stance.CHANGES_REQUESTED, "Better, please.")) and None
    )


def _without_engine(state: Path) -> None:
    for one in state.glob("engine.db*"):
        one.unlink()


def _lose_engine(asking: Asking, _: Told) -> None:
    asking.apart("engine lost", _without_engine)


def _put_back_hidden(asking: Asking, _: Told) -> None:
    """As a backup is put back: no engine's database, and the mark. The forge says that there is no such repository."""

    def put_back(state: Path) -> None:
        _without_engine(state)
        mark_restored(state)
        assert isinstance(asking.world, GithubWorld)
        asking.world.hide()

    asking.apart("put back", put_back)


def _show(asking: Asking, _: Told) -> None:
    assert isinstance(asking.world, GithubWorld)
    asking.once("shown", asking.world.show)


LEFT_BEHIND = {1: waits_to_be_stopped("x = 1\n", "beside.py"), 2: writes(RIGHT)}
"""What the first leaves is in the merge only if it was kept."""
AT_WORK = Goal(name="at work", done=lambda told: told["phase"] == "agent" and bool(told["recent_actions"]))
REVIEWED = Goal(name="review", done=in_phase("awaiting_review"))
PROMOTED = Goal(name="promote", done=in_phase(*MERGED), deed=_promote, due=in_phase("awaiting_review"))

SCENARIOS = (
    Scenario(
        name="climb",
        agents={1: writes(WRONG), 2: writes(RIGHT)},
        goals=(REVIEWED, PROMOTED),
    ),
    Scenario(
        name="changes",
        agents={1: writes(RIGHT), 2: writes(BETTER)},
        goals=(
            REVIEWED,
            Goal(
                name="changes",
                done=_tried(2),
                deed=_request,
                due=lambda told: told["phase"] == "awaiting_review" and len(told["tiers_tried"]) == 1,
            ),
            PROMOTED,
        ),
    ),
    Scenario(
        name="cancel",
        agents={1: waits_to_be_stopped(WRONG), 2: writes(RIGHT)},
        raced=BASE_BESIDE,
        goals=(
            AT_WORK,
            Goal(
                name="cancel",
                done=in_phase("cancelled"),
                deed=lambda asking, told: asking.call("cancel", run_id=told["run_id"]) and None,
            ),
            Goal(
                name="retry",
                done=_tried(2),
                deed=lambda asking, told: asking.call("retry", run_id=told["run_id"]) and None,
                due=in_phase("cancelled"),
            ),
            PROMOTED,
        ),
    ),
    Scenario(
        name="quota",
        agents={
            1: writes(WRONG, is_error=True, terminal_reason="api_error", api_error_status=429),
            2: writes(RIGHT),
        },
        exhausted=(1,),
        raced=BASE_BESIDE,
        goals=(REVIEWED, PROMOTED),
    ),
    Scenario(
        name="ci",
        agents={1: writes(WRONG), 2: writes(RIGHT), 3: writes(BETTER)},
        gate=passes_when("total = "),
        settings={"ci_grace_s": 3600.0},
        goals=(
            Goal(name="checks", done=in_phase("ci")),
            Goal(
                name="red",
                done=lambda told: told["phase"] == "ci" and told["ci_rounds"] == 1,
                deed=_report(CheckState.FAILED),
                due=lambda told: told["phase"] == "ci" and told["ci_rounds"] == 0,
            ),
            Goal(name="green", done=in_phase("awaiting_review"), deed=_report(CheckState.PASSED), due=in_phase("ci")),
            PROMOTED,
        ),
    ),
    Scenario(
        name="remark",
        agents={1: writes(RIGHT), 2: writes(BETTER, result="REMARK 1: fixed, said better")},
        goals=(
            REVIEWED,
            Goal(
                name="remark",
                done=lambda told: (
                    told["phase"] == "awaiting_review"
                    and told["review_rounds"] == 1
                    and any(one["kind"] == "review" for one in told["notices"])
                ),
                deed=_remark,
            ),
            PROMOTED,
        ),
    ),
    Scenario(
        name="moved",
        agents={1: writes(RIGHT)},
        goals=(
            REVIEWED,
            Goal(
                name="promote", done=in_phase(*MERGED), deed=_promote_moved, due=in_phase("awaiting_review"), again=True
            ),
        ),
    ),
    Scenario(
        name="lost",
        agents=LEFT_BEHIND,
        raced=BASE_BESIDE,
        goals=(AT_WORK, Goal(name="engine lost", done=_tried(2), deed=_lose_engine), PROMOTED),
    ),
    Scenario(
        name="hidden",
        forges=("github",),
        agents=LEFT_BEHIND,
        raced=BASE_BESIDE,
        goals=(
            AT_WORK,
            Goal(name="put back", done=lambda told: told["phase"] == "waiting", deed=_put_back_hidden),
            Goal(name="shown", done=_tried(2), deed=_show),
            PROMOTED,
        ),
    ),
)
BY_NAME = {one.name: one for one in SCENARIOS}
