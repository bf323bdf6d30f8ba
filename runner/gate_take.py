"""One gate on one tree, sealed in a sandbox of its own: started or adopted, waited for, and read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

from gates.observed import Observation
from gates.plan import Gate, GatePlan, shell_script
from gates.sentinels import Sentinel, sentinels
from gates.services import NOT_READY, Service, waiting_s
from gates.text import clean
from gates.uncovered import LEFT_AS, MAX_BYTES
from runner.ahead import Ahead
from runner.files import read_untrusted, remove_tree, write_whole
from runner.layout import GateDirs, Layout
from runner.moments import Moment, moment_from_json, moment_to_json
from runner.ports import Checkouts, Clock, Containers
from runner.recipes import Recipes
from runner.sandbox import gate_name
from runner.sandbox_run import Ran, SandboxRunner
from runner.sandboxes import RunState, SandboxSpec

_TAIL_BYTES: Final = 256 * 1024
_JUNIT_BYTES: Final = 8 * 1024 * 1024
_LAST_WORDS: Final = 250
_TOKEN_BYTES: Final = 16


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


class Variant(IntEnum):
    """Which of a question's trees a gate is run on."""

    OWN = 0
    """The judged tree as it is."""
    BASES = 1
    """The judged tree with the base's tests and runner files; of a base, the same tree with louder tests of ours."""
    OLD = 2
    """The base's tree with the judged tree's tests."""
    PLAIN = 3
    """The judged tree with no tests of ours in it."""


@dataclass(frozen=True, kw_only=True)
class Take:
    """One tree to run a gate on. files: those that get tests of ours, with their content. again: how often before."""

    variant: Variant
    commit: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    loud: bool = False
    again: int = 0


@dataclass(frozen=True, kw_only=True)
class Place:
    """What every gate of a question is run in. image: its id, where the gate names none of its own.

    installed_anew: the environment is the change's own, for it edits what is installed.
    """

    question: Question
    image: str
    environment: Path | None
    installed_anew: bool = False


@dataclass(frozen=True, kw_only=True)
class GateTakes:
    """Runs one gate on one tree.

    Raises Cancelled, Interrupted, EngineDown, SandboxFault, ImageMissing, CheckoutFault.
    """

    containers: Containers
    checkouts: Checkouts
    clock: Clock
    layout: Layout
    recipes: Recipes
    sandboxes: SandboxRunner
    early: Ahead

    def ahead(self, place: Callable[[], Place | None], question: Question) -> None:
        """Begin to make the sandbox of the first gate on its own tree, which has nothing in it yet.

        Not with services. place: asked beside, where it would be run; None where that is still to be made.
        """
        gate, plan = question.plan.gates[0], question.plan
        name = _name(question, gate, Take(variant=Variant.OWN, commit=""))
        dirs = self.layout.gate(question.run_id, name)

        def recipe() -> SandboxSpec | None:
            here = place()
            if here is None:
                return None
            for path in (dirs.tree, dirs.out):
                path.mkdir(parents=True, exist_ok=True)
            return self._spec(here, gate, Take(variant=Variant.OWN, commit=""), dirs)

        if not plan.services:
            self.early.begin(question.run_id, name, recipe)

    def observe(self, place: Place, gate: Gate, take: Take, cancelled: Callable[[], bool]) -> Observation:
        """What the gate does there. A sandbox under way is adopted, with the tests of ours that it was given."""
        question = place.question
        name = _name(question, gate, take)
        dirs = self.layout.gate(question.run_id, name)
        spec = self._spec(place, gate, take, dirs)
        made = self.early.take(name)  # made and never started: there is none that could be adopted
        begun = self._begun(take, dirs, name) if made is None else None
        if begun is None:
            if made != spec:
                # Not there, or there for another tree: whatever an interrupted try left of it goes.
                self.containers.remove(name)
            begun = self._prepare(question, gate, take, dirs)
        since, token = begun
        timeout_s = gate.timeout_s + waiting_s(question.plan.services)
        ran = self.sandboxes.to_end(spec, since=since, timeout_s=timeout_s, cancelled=cancelled)
        return self._observe(gate, dirs, spec, ran, question.plan.services, _planted(gate, take, token))

    def clear(self, question: Question, gate: Gate, take: Take) -> None:
        """The sandbox and its files are gone; not before the verdict is remembered, or a crash would cost it."""
        name = _name(question, gate, take)
        self.sandboxes.discard(name, self.layout.gate(question.run_id, name).root)

    def _spec(self, place: Place, gate: Gate, take: Take, dirs: GateDirs) -> SandboxSpec:
        question = place.question
        return self.recipes.gate(
            run_id=question.run_id,
            what=_what(question, gate),
            take=_number(question, take),
            image=place.image if gate.image is None else self.containers.image_id(gate.image),
            dirs=dirs,
            environment=place.environment,
            script=shell_script(question.plan, gate),
            services=question.plan.services,
        )

    def _prepare(self, question: Question, gate: Gate, take: Take, dirs: GateDirs) -> tuple[Moment, str]:
        """The tree, with tests of ours in it that nobody saw before."""
        remove_tree(dirs.root)
        dirs.out.mkdir(parents=True)
        self.checkouts.export(question.run_id, take.commit, dirs.tree)
        token = secrets.token_hex(_TOKEN_BYTES)
        for one in _planted(gate, take, token):
            _rewrite(dirs.tree / one.path, one.content)
        begun = self.sandboxes.moment()
        told = moment_to_json(begun) | {"commit": take.commit, "token": token}
        write_whole(dirs.root / "begun", json.dumps(told).encode())
        return begun, token

    def _begun(self, take: Take, dirs: GateDirs, name: str) -> tuple[Moment, str] | None:
        """When the sandbox of that name was begun on this very commit, and its token, if it is there."""
        begun = dirs.root / "begun"
        if self.containers.status(name).state is RunState.ABSENT or not begun.exists():
            return None
        told = json.loads(begun.read_text(encoding="utf-8"))
        # A daemon that knew the wall clock only called it "at".
        since = moment_from_json(told) or Moment(utc=float(told["at"]))
        return (since, str(told["token"])) if told["commit"] == take.commit else None

    def _observe(
        self,
        gate: Gate,
        dirs: GateDirs,
        spec: SandboxSpec,
        ran: Ran,
        services: tuple[Service, ...],
        planted: tuple[Sentinel, ...],
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
            planted=planted,
            coverage=next(
                (left for name in LEFT_AS if (left := read_untrusted(dirs.out / name, limit=MAX_BYTES))), None
            ),
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


def _planted(gate: Gate, take: Take, token: str) -> tuple[Sentinel, ...]:
    return sentinels(gate.runner, take.files, token, loud=take.loud) if gate.runner is not None else ()


def _rewrite(path: Path, content: bytes) -> None:
    """Other bytes in a file that was just exported: whoever may read it keeps that right."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as file:
        file.write(content)


def _what(question: Question, gate: Gate) -> str:
    return f"{question.what}-{question.attempt}-{gate.name}"


def _number(question: Question, take: Take) -> int:
    """One number for each time that a gate is run for a question: 1 is the first, on its own tree."""
    return question.take + 100 * take.variant + 1000 * take.again


def _name(question: Question, gate: Gate, take: Take) -> str:
    return gate_name(question.run_id, _what(question, gate), _number(question, take))
