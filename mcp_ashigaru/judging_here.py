"""The daemon's judge on any repository of this host: no forge, no agent, no daemon, and nothing left behind."""

from __future__ import annotations

import itertools
import logging
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gates.observed import Counts
from gates.plan import CiOnly, Gate, GatePlan
from gates.verdict import Inconclusive, NeedsHuman, Passed, Verdict
from mcp_ashigaru.building import JudgesWorld, Judging, build_judging
from mcp_ashigaru.settings import ConfigError, Settings
from mcp_ashigaru.stores import checkouts_of, local_repositories, passing_records
from mcp_ashigaru.walls import egress_of, fleet_of, podman_containers
from runner.adapters.git_local import LocalRepositories, Taken
from runner.adapters.system_clock import SystemClock
from runner.errors import NotPossible, RunnerError
from runner.files import remove_tree
from runner.fleet import Fleet
from runner.gate_run import Question
from runner.layout import short
from runner.model import Phase
from runner.planning import Planner
from runner.policy import is_protected
from runner.ports import Checkouts, Clock, Containers
from runner.records import Judgement, Records, RunRecord
from runner.setup_run import Egress

_LOG: Final = logging.getLogger(__name__)
_MAX_TEMPORARY: Final = 60
_MAX_SHOWN: Final = 10
_APART: Final = (
    "The head does not come after the base, so what the base alone has counts as taken away; "
    "name the commit where they parted (`git merge-base`) as the base."
)

JudgeHere = Callable[[Path, str, str], "Judged"]
"""Judges: the repository's directory, its base revision, its head revision. Safe to call from several threads.

Raises BadIntent where there is no such repository or commit, NotPossible where no gate judges it here, ImageMissing,
EngineDown, SandboxFault, CheckoutFault, and Interrupted where the judge was closed meanwhile.
"""


@dataclass(frozen=True, kw_only=True)
class TreeJudged:
    """One commit's judgement. commit: its id in its own repository. takes: how often the gates were asked.

    seconds: what all of that took. image: id of the image that the gates ran in.
    """

    commit: str
    tree: str
    verdict: Verdict
    counts: Counts
    image: str | None
    takes: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the gates say of `head` on `base`; head None: the base is not green, so nothing can be said of it.

    gates: the base's own. notices: what happened beside, a sentence each.
    """

    repository: Path
    gates: tuple[Gate, ...]
    base: TreeJudged
    head: TreeJudged | None
    notices: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The head's, or what the base's says in its place."""
        return self.base.verdict if self.head is None else self.head.verdict


@contextmanager
def judge_here(
    settings: Settings,
    *,
    name: str | None = None,
    containers: Containers | None = None,
    egress: Egress | None = None,
    told: Callable[[str], None] = lambda _line: None,
    stopping: threading.Event | None = None,
) -> Iterator[JudgeHere]:
    """The judge, good for many repositories until the block ends; then nothing of it is left, sandboxes least of all.

    name: what fleet.toml calls the repositories that are judged; None: as those that it has no table for. containers,
    egress: in the place of the real ones, which are not begun before the first tree is judged. told: hears what is
    being done, a line each. stopping: once it is set, judgements under way leave by Interrupted. One at a time in a
    process. Raises ConfigError.
    """
    fleet = fleet_of(settings)
    with ExitStack() as stack:
        state = Path(tempfile.mkdtemp(prefix="ash"))
        stack.callback(remove_tree, state)
        if len(str(state)) > _MAX_TEMPORARY:
            raise ConfigError(f"TMPDIR is too long for the sockets below it; use at most {_MAX_TEMPORARY} characters.")
        leaving = threading.Event() if stopping is None else stopping
        own = settings.model_copy(update={"state_dir": state})
        judge = _Judge(
            settings=own,
            fleet=Fleet(default=fleet.default if name is None else fleet.of(name)),
            records=stack.enter_context(passing_records(own)),
            checkouts=checkouts_of(own),
            local=local_repositories(own),
            clock=SystemClock(),
            stopping=leaving,
            given=(containers, egress),
            told=told,
            stack=stack,
        )
        try:
            yield judge.judge
        finally:
            leaving.set()


@dataclass(frozen=True, kw_only=True)
class _Judge:
    settings: Settings
    fleet: Fleet
    records: Records
    checkouts: Checkouts
    local: LocalRepositories
    clock: Clock
    stopping: threading.Event
    given: tuple[Containers | None, Egress | None]
    told: Callable[[str], None]
    stack: ExitStack
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _built: list[Judging] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _word: str = field(default_factory=lambda: secrets.token_hex(4))

    def judge(self, repository: Path, base: str, head: str) -> Judged:
        """See `JudgeHere`."""
        git_dir = self.local.find(repository)
        base_commit, head_commit = (self.local.commit(repository, one) for one in (base, head))
        taken = self.local.take(git_dir, base_commit, head_commit)
        run_id = self._begin(git_dir, taken)
        try:
            plan = self._plan(run_id, taken, base)
            on_base = self._ask(run_id, plan, taken, base_commit, what="base")
            green = isinstance(on_base.verdict, Passed | NeedsHuman)
            on_head = self._ask(run_id, plan, taken, head_commit, what="head") if green else None
            notices = tuple(one.text for one in self.records.notices(run_id))
            if not self.local.descends(repository, base_commit, head_commit):
                notices += (_APART,)
            notices += self._kept_from_agents(run_id, taken)
            return Judged(repository=repository, gates=plan.gates, base=on_base, head=on_head, notices=notices)
        finally:
            self._forget(run_id)

    def _kept_from_agents(self, run_id: str, taken: Taken) -> tuple[str, ...]:
        """What the daemon would not have taken from an agent, whatever the gates say of it."""
        touched = [one.path for one in self.checkouts.differing(run_id, taken.base, taken.head)]
        kept = [path for path in touched if is_protected(path, self.fleet.default.limits)]
        if not kept:
            return ()
        shown = ", ".join(kept[:_MAX_SHOWN]) + (f" and {len(kept) - _MAX_SHOWN} more" if len(kept) > _MAX_SHOWN else "")
        return (f"An agent may not change {shown}; allow_protected in fleet.toml would let it.",)

    def _begin(self, git_dir: Path, taken: Taken) -> str:
        """A run of our own, with its clean clone; its id. What is set up for one directory is not used for another."""
        with self._guard:
            number = next(self._numbers)
        run_id, repo, now = f"here-{self._word}-{number}", f"here/{short(str(git_dir))}", self.clock.now()
        self.records.claim(
            RunRecord(
                run_id=run_id,
                repo=repo,
                issue=number,
                brief="",
                model=None,
                phase=Phase.GATE,
                base_branch="base",
                branch="head",
                created_at=now,
                updated_at=now,
                start_tier=0,
                base_sha=taken.base,
            )
        )
        self.checkouts.refresh(repo, taken.remote)
        self.checkouts.clone(run_id, repo)
        return run_id

    def _plan(self, run_id: str, taken: Taken, base: str) -> GatePlan:
        # Before podman is begun: a repository without a gate is told at once.
        planner = Planner(checkouts=self.checkouts, fleet=self.fleet, service_images=self.settings.service_images)
        match planner.plan_at(run_id, taken.base, base, repo=None):
            case GatePlan() as found:
                return found
            case CiOnly():
                raise NotPossible('The base says local = "none": only its CI judges it; there is nothing to run here.')
            case reason:
                raise NotPossible(reason)

    def _ask(self, run_id: str, plan: GatePlan, taken: Taken, commit: str, *, what: str) -> TreeJudged:
        """The gates' word, asked again where they had none, as often as a round of the daemon's would."""
        ours, attempt = (taken.base, 0) if what == "base" else (taken.head, 1)
        tree = self.checkouts.tree_of(run_id, ours)
        gates, began = self._judging().gates, self.clock.monotonic()
        for take in range(1, self.settings.bounds.gate_retries + 2):
            self.told(f"judging the {what} {commit[:12]}{'' if take == 1 else f', take {take}'}")
            question = Question(
                run_id=run_id,
                what=what,
                attempt=attempt,
                take=take,
                commit=ours,
                tree=tree,
                head=ours,
                base_sha=taken.base,
                plan=plan,
            )
            verdict = gates.ask(question, lambda: False)
            if not isinstance(verdict, Inconclusive):
                break
        said = self._said(run_id, what)
        return TreeJudged(
            commit=commit,
            tree=tree,
            verdict=verdict,
            counts=said.counts,
            image=said.image,
            takes=take,
            seconds=self.clock.monotonic() - began,
        )

    def _said(self, run_id: str, what: str) -> Judgement:
        return [one for one in self.records.judgements(run_id) if one.what == what][-1]

    def _judging(self) -> Judging:
        """The judge itself, built when the first tree is to be judged."""
        with self._guard:
            if not self._built:
                containers, egress = self.given
                world = JudgesWorld(
                    settings=self.settings,
                    fleet=self.fleet,
                    containers=containers or podman_containers(self.settings, self.stack),
                    checkouts=self.checkouts,
                    records=self.records,
                    clock=self.clock,
                    egress=egress or self.stack.enter_context(egress_of()),
                    stopping=self.stopping,
                )
                self._built.append(build_judging(world, discard_s=0))
            return self._built[0]

    def _forget(self, run_id: str) -> None:
        """No sandbox, clone or file of the run is left; what cannot be removed is told, and keeps nothing else."""
        try:
            for parts in self._built:
                containers = parts.sandboxes.containers
                for found in containers.listing(run_id):
                    containers.remove(found.name)
                remove_tree(parts.layout.run(run_id))
            self.checkouts.remove(run_id)
            self.records.release(run_id)
        except (RunnerError, OSError):
            _LOG.warning("something of a judgement could not be removed", exc_info=True, extra={"run": run_id})
