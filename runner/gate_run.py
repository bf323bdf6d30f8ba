"""Have a tree judged: each gate sealed in a sandbox of its own, the evidence read, the verdict remembered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, assert_never

from gates.judge import Counts, Observation, judge, summarise
from gates.plan import Gate, GatePlan, shell_script
from gates.services import NOT_READY, Service, waiting_s
from gates.text import clean
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged, Verdict
from runner.ahead import Ahead
from runner.files import read_untrusted, remove_tree, write_whole
from runner.guard import Guard
from runner.layout import GateDirs, Layout
from runner.ports import Checkouts, Clock, Containers
from runner.recipes import Recipes
from runner.records import Judgement, Records
from runner.sandbox import gate_name
from runner.sandbox_run import Ran, SandboxRunner
from runner.sandboxes import RunState, SandboxSpec
from runner.setup_run import Environment, SetUp, Wanted
from runner.turns import Turns

_TAIL_BYTES: Final = 256 * 1024
_JUNIT_BYTES: Final = 8 * 1024 * 1024
_LAST_WORDS: Final = 250


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be judged: `commit` with `tree`, by the plan found at `base_sha`.

    what, attempt, take, head: which judgement of the run this is (see `Judgement`).
    """

    run_id: str
    what: str
    attempt: int
    take: int
    commit: str
    tree: str
    head: str
    base_sha: str
    plan: GatePlan


@dataclass(frozen=True, kw_only=True)
class GateRunner:
    """Answers questions, each once: the same key is never judged twice, unless the answer was inconclusive."""

    containers: Containers
    checkouts: Checkouts
    records: Records
    clock: Clock
    layout: Layout
    recipes: Recipes
    sandboxes: SandboxRunner
    set_up: SetUp
    early: Ahead
    guard: Guard
    _turns: Turns = field(default_factory=Turns)

    def ahead(self, run_id: str, base_sha: str, plan: GatePlan, attempt: int) -> None:
        """Begin to make the sandbox of the first gate on the attempt's tree, beside the agent, which goes on.

        Nothing of it runs before there is a tree. Not where its environment is still to be made, nor with services.
        """
        gate, what, take = plan.gates[0], f"head-{attempt}-{plan.gates[0].name}", 1
        dirs = self.layout.gate(run_id, gate_name(run_id, what, take))

        def recipe() -> SandboxSpec | None:
            image = self.containers.image_id(plan.image or self.recipes.gate_image)
            environment = self.set_up.made(run_id, base_sha, plan, image)
            if environment is None:
                return None
            for path in (dirs.tree, dirs.out):
                path.mkdir(parents=True, exist_ok=True)
            return self.recipes.gate(
                run_id=run_id,
                what=what,
                take=take,
                image=image,
                dirs=dirs,
                environment=environment.path,
                script=shell_script(plan, gate),
            )

        if not plan.services:
            self.early.begin(run_id, gate_name(run_id, what, take), recipe)

    def ask(self, question: Question, cancelled: Callable[[], bool]) -> Verdict:
        """The gates' word.

        Raises Cancelled, Interrupted, EngineDown, SandboxFault, ImageMissing, CheckoutFault, Leaked.
        """
        known = self._remembered(question)
        if known is not None:
            return known
        image = self.containers.image_id(question.plan.image or self.recipes.gate_image)
        environment = self.set_up.environment(_wanted(question, image), cancelled)
        if not isinstance(environment, Environment):
            return self._remember(question, "", environment, Counts(), image)
        services = tuple(self.containers.image_id(one.image) for one in question.plan.services)
        key = _key(question, image, environment, services)
        with self._turns.alone(key, lambda: self.sandboxes.may_wait(cancelled)):
            before = self.records.judged(key)
            if before is not None:
                return self._remember(question, key, before.verdict, before.counts, image)
            observations = self._run(question, image, environment, cancelled)
            verdict = judge(question.plan, observations, self._base_counts(question))
            self._remember(question, key, verdict, summarise(observations), image)
        self._clear(question)
        if environment.own is not None:
            root, sandbox = environment.own
            self.sandboxes.discard(sandbox, root)
        return verdict

    def _remembered(self, question: Question) -> Verdict | None:
        """The very same judgement, if a crash came between its end and its checkpoint."""
        for known in self.records.judgements(question.run_id):
            same = (known.what, known.attempt, known.take, known.commit, known.base_sha)
            if same == (question.what, question.attempt, question.take, question.commit, question.base_sha):
                return known.verdict
        return None

    def _base_counts(self, question: Question) -> Counts | None:
        """What ran on the base, for a head to be held against; None for the base itself."""
        if question.what == "base":
            return None
        bases = [one for one in self.records.judgements(question.run_id) if one.what == "base"]
        return next((one.counts for one in reversed(bases) if not isinstance(one.verdict, Inconclusive)), None)

    def _remember(self, question: Question, key: str, verdict: Verdict, counts: Counts, image: str) -> Verdict:
        # People are told it, and so is the next tier's agent.
        self.guard.heard(question.run_id, *_words(verdict))
        self.records.save_judgement(
            Judgement(
                run_id=question.run_id,
                what=question.what,
                attempt=question.attempt,
                take=question.take,
                commit=question.commit,
                tree=question.tree,
                head=question.head,
                base_sha=question.base_sha,
                key=key,
                verdict=verdict,
                counts=counts,
                at=self.clock.now(),
                image=image,
            )
        )
        return verdict

    def _run(
        self, question: Question, image: str, environment: Environment, cancelled: Callable[[], bool]
    ) -> list[Observation]:
        """One observation a gate, up to and with the first that is not green."""
        observations: list[Observation] = []
        for gate in question.plan.gates:
            observations.append(self._one(question, gate, image, environment, cancelled))
            if observations[-1].exit_code != 0:
                break
        return observations

    def _one(
        self,
        question: Question,
        gate: Gate,
        image: str,
        environment: Environment,
        cancelled: Callable[[], bool],
    ) -> Observation:
        name = _name(question, gate)
        dirs = self.layout.gate(question.run_id, name)
        spec = self.recipes.gate(
            run_id=question.run_id,
            what=_what(question, gate),
            take=question.take,
            image=image,
            dirs=dirs,
            environment=environment.path,
            script=shell_script(question.plan, gate),
            services=question.plan.services,
        )
        made = self.early.take(name)  # made and never started: there is none that could be adopted
        begun = self._begun(question, dirs, name) if made is None else None
        if begun is None:
            if made != spec:
                # Not there, or there for another tree: whatever an interrupted try left of it goes.
                self.containers.remove(name)
            remove_tree(dirs.root)
            dirs.out.mkdir(parents=True)
            self.checkouts.export(question.run_id, question.commit, dirs.tree)
            begun = self.clock.now()
            write_whole(dirs.root / "begun", json.dumps({"at": begun, "commit": question.commit}).encode())
        timeout_s = gate.timeout_s + waiting_s(question.plan.services)
        ran = self.sandboxes.to_end(spec, started_at=begun, timeout_s=timeout_s, cancelled=cancelled)
        return self._observe(gate, dirs, spec, ran, question.plan.services)

    def _begun(self, question: Question, dirs: GateDirs, name: str) -> float | None:
        """When the sandbox of that name was begun on this very commit (UTC seconds), if it is there."""
        begun = dirs.root / "begun"
        if self.containers.status(name).state is RunState.ABSENT or not begun.exists():
            return None
        told = json.loads(begun.read_text(encoding="utf-8"))
        return float(told["at"]) if told["commit"] == question.commit else None

    def _clear(self, question: Question) -> None:
        """The gates' sandboxes and files are gone; not before their verdict is remembered, or a crash would cost it."""
        for gate in question.plan.gates:
            name = _name(question, gate)
            self.sandboxes.discard(name, self.layout.gate(question.run_id, name).root)

    def _observe(
        self, gate: Gate, dirs: GateDirs, spec: SandboxSpec, ran: Ran, services: tuple[Service, ...]
    ) -> Observation:
        junit = None if gate.junit is None else read_untrusted(dirs.out / gate.junit, limit=_JUNIT_BYTES)
        return Observation(
            gate=gate,
            exit_code=None if ran.timed_out or ran.overran else ran.status.exit_code,
            timed_out=ran.timed_out,
            overran=ran.overran,
            oom=ran.status.oom,
            started=ran.status.state is not RunState.ABSENT,
            output=self.containers.output(spec.name, _TAIL_BYTES),
            junit=junit,
            service_down=self._service_down(dirs, spec, services) if services else None,
        )

    def _service_down(self, dirs: GateDirs, spec: SandboxSpec, services: tuple[Service, ...]) -> str | None:
        """A service that did not come up, or did not outlive the gate; None where all is well with them.

        They are stopped, and what was seen of them is kept: after a crash it must not be that they were stopped.
        """
        seen = dirs.root / "services"
        if not seen.exists():
            late = read_untrusted(dirs.out / NOT_READY, limit=100)
            told = next((down for down in self._trouble(spec, services, late) if down is not None), "")
            write_whole(seen, told.encode())
        for beside in spec.services:
            self.containers.stop(beside.name, 0)
        return seen.read_text(encoding="utf-8") or None

    def _trouble(self, spec: SandboxSpec, services: tuple[Service, ...], late: bytes | None) -> Iterator[str | None]:
        for service, beside in zip(services, spec.services, strict=True):
            ended = self.containers.status(beside.name).state is not RunState.RUNNING
            if ended or late == service.name.encode():
                said = self.containers.output(beside.name, _LAST_WORDS).decode("utf-8", "replace")
                what = "ended" if ended else "did not become ready"
                yield f"service {service.name} {what}; its last words: {clean(said, _LAST_WORDS).strip() or 'none'}"


def _wanted(question: Question, image: str) -> Wanted:
    """What the tree is judged in: the base's layer, or one that is this very judgement's."""
    judged = f"{question.what}-{question.attempt}-{question.take}"
    return Wanted(
        run_id=question.run_id,
        base_sha=question.base_sha,
        plan=question.plan,
        image=image,
        change=None if question.what == "base" else (question.commit, judged),
    )


def _what(question: Question, gate: Gate) -> str:
    return f"{question.what}-{question.attempt}-{gate.name}"


def _name(question: Question, gate: Gate) -> str:
    return gate_name(question.run_id, _what(question, gate), question.take)


def _key(question: Question, image: str, environment: Environment, services: tuple[str, ...]) -> str:
    parts = (question.tree, question.base_sha, question.plan.digest(), image, environment.key, *services)
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()


def _words(verdict: Verdict) -> tuple[str, ...]:
    """What a verdict repeats of what sandboxes printed."""
    match verdict:
        case Passed(summary=summary) | Unjudged(summary=summary):
            return (summary,)
        case Failed(summary=summary, report=report):
            return summary, report
        case NeedsHuman(summary=summary, findings=findings):
            return summary, *findings
        case Inconclusive(reason=reason):
            return (reason,)
        case _:
            assert_never(verdict)
