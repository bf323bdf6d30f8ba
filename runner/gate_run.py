"""Have a tree judged: every gate sealed in sandboxes of its own, the evidence read, the verdict remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from gates.observed import Counts
from gates.plan import GatePlan
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged, Verdict
from runner.gate_take import GateTakes, Place, Question
from runner.guard import Guard
from runner.judging import Judged, TreeJudge
from runner.ports import Checkouts, Clock, Containers
from runner.recipes import Recipes
from runner.records import Judgement, Records
from runner.sandbox_run import SandboxRunner
from runner.setup_run import Environment, SetUp, Wanted
from runner.turns import Turns

__all__ = ["GateRunner", "Question"]


@dataclass(frozen=True, kw_only=True)
class GateRunner:
    """Answers questions, each once: the same key is never judged twice, unless the answer was inconclusive."""

    containers: Containers
    checkouts: Checkouts
    records: Records
    clock: Clock
    recipes: Recipes
    sandboxes: SandboxRunner
    set_up: SetUp
    guard: Guard
    takes: GateTakes
    judging: TreeJudge
    _turns: Turns = field(default_factory=Turns)

    def ahead(self, run_id: str, base_sha: str, plan: GatePlan, attempt: int) -> None:
        """Begin to make the sandbox of the first gate on the attempt's tree, beside the agent, which goes on.

        Nothing of it runs before there is a tree. Not where its environment is still to be made, nor with services.
        """
        question = Question(
            run_id=run_id,
            what="head",
            attempt=attempt,
            take=1,
            commit="",
            tree="",
            head="",
            base_sha=base_sha,
            plan=plan,
        )

        def place() -> Place | None:
            image = self.containers.image_id(plan.image or self.recipes.gate_image)
            environment = self.set_up.made(run_id, base_sha, plan, image)
            return None if environment is None else Place(question=question, image=image, environment=environment.path)

        self.takes.ahead(place, question)

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
        images = (*(one.image for one in question.plan.services), *(one.image for one in question.plan.gates))
        beside = tuple(self.containers.image_id(one) for one in images if one is not None)
        key = _key(question, image, environment, beside)
        with self._turns.alone(key, lambda: self.sandboxes.may_wait(cancelled)):
            before = self.records.judged(key)
            if before is not None:
                return self._remember(question, key, before.verdict, before.counts, image)
            anew = environment.own is not None
            place = Place(question=question, image=image, environment=environment.path, installed_anew=anew)
            judged = self._judged(place, cancelled)
            self._remember(question, key, judged.verdict, judged.counts, image)
        for gate, take in judged.takes:
            self.takes.clear(question, gate, take)
        if environment.own is not None:
            root, sandbox = environment.own
            self.sandboxes.discard(sandbox, root)
        return judged.verdict

    def _judged(self, place: Place, cancelled: Callable[[], bool]) -> Judged:
        base = self._base_counts(place.question)
        return self.judging.base(place, cancelled) if base is None else self.judging.change(place, base, cancelled)

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
        said = reversed(self.records.judgements(question.run_id))
        bases = [one for one in said if one.what == "base" and not isinstance(one.verdict, Inconclusive)]
        # The latest, and of the very base where that was judged in this run.
        same = [one for one in bases if one.base_sha == question.base_sha]
        return next((one.counts for one in (*same, *bases)), Counts())

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


def _key(question: Question, image: str, environment: Environment, beside: tuple[str, ...]) -> str:
    """What the verdict depends on: tree, base (whose tests and runner files are put back), rules, images, set-up."""
    kind = "base" if question.what == "base" else "change"
    parts = (kind, question.tree, question.base_sha, question.plan.digest(), image, environment.key, *beside)
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()


def _words(verdict: Verdict) -> tuple[str, ...]:
    """What a verdict repeats of what sandboxes printed."""
    match verdict:
        case Passed(summary=summary, shown=shown):
            return summary, *shown
        case Unjudged(summary=summary):
            return (summary,)
        case Failed(summary=summary, report=report):
            return summary, report
        case NeedsHuman(summary=summary, findings=findings, shown=shown, side_by_side=beside):
            return summary, *findings, *shown, beside
        case Inconclusive(reason=reason):
            return (reason,)
        case _:
            assert_never(verdict)
