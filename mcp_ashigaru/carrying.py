"""What carries rounds to their end: the pool before the durable engine, and who has what a crash left go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcp_ashigaru.settings import Settings
from mcp_ashigaru.stores import ci_policy_of
from runner.admission import AdmissionControl
from runner.ages import Ages
from runner.allowed import Policy
from runner.closing import Closing
from runner.facts import Close, Fact, Step
from runner.fleet import Fleet
from runner.keeping import Keeper
from runner.model import RoundInput
from runner.pool import Pool
from runner.ports import Forge
from runner.precedence import Precedence
from runner.reconciling import Reconciler
from runner.records import Records, RunRecord
from runner.recovering import Recovery
from runner.restarting import Restarter
from runner.round_after import first_round
from runner.rounds import Carrier
from runner.service import Service
from runner.slots import SlotBook
from runner.taking_over import TakeOver
from runner.timeline import MomentBook, Timeline
from runner.unasked import Unasked
from runner.waits import PatientRounds


@dataclass
class Late:
    """What the engine needs of those that are built after it."""

    recovery: Recovery | None = None
    pool: Pool | None = None

    def resubmit(self, round_input: RoundInput, delay_s: float) -> None:
        """Have the round run, after a while."""
        if self.pool is not None:
            self.pool.submit(round_input, delay_s=delay_s)

    def due(self, round_input: RoundInput) -> None:
        """The round's time has come."""
        if self.pool is not None:
            self.pool.due(round_input)

    def faulted(self, round_input: RoundInput, detail: str) -> None:
        """The round died of a fault of ours."""
        if self.recovery is not None:
            self.recovery.faulted(round_input, detail)

    def told_of_ends(self, carry_out: Callable[[RoundInput, Step], Fact]) -> Callable[[RoundInput, Step], Fact]:
        """The same, and the pool is told of each round's end."""

        def told(round_input: RoundInput, step: Step) -> Fact:
            fact = carry_out(round_input, step)
            if isinstance(step, Close) and self.pool is not None:
                self.pool.ended(round_input)
            return fact

        return told


@dataclass(frozen=True, kw_only=True)
class Carrying:
    """waits: ends the waits of delayed rounds. slots: what everybody else takes for the engine."""

    waits: PatientRounds
    slots: Pool
    admission: AdmissionControl
    ages: Ages


def carrying_of(
    settings: Settings,
    fleet: Fleet,
    *,
    engine: Carrier,
    records: Records,
    timeline: Timeline,
    moments: MomentBook,
    book: SlotBook,
    precedence: Precedence,
) -> Carrying:
    """The pool before `engine`; nothing is started yet."""
    waits = PatientRounds(rounds=engine, book=moments, records=records, timeline=timeline)
    return Carrying(
        waits=waits,
        slots=Pool(
            engine=waits,
            book=book,
            records=records,
            clock=timeline.clock,
            slots=settings.slots,
            precedence=precedence,
        ),
        admission=AdmissionControl(book=book, limits=settings.run_limits, of_repo=lambda repo: fleet.of(repo).runs),
        ages=Ages(book=moments, records=records, timeline=timeline),
    )


def policy_of(settings: Settings, fleet: Fleet) -> Policy:
    """What the operator allows."""
    return Policy(
        repos=frozenset(settings.repos),
        ladder=settings.ladder,
        bounds=settings.bounds,
        ci=ci_policy_of(settings),
        review_settle_s=settings.review_settle_s,
        start_where_cheapest=settings.start_policy == "cheapest",
        fleet=fleet,
    )


@dataclass(frozen=True, kw_only=True)
class Comeback:
    """Has everything go on that a crash, a restored backup or a standstill left. All of it is safe to repeat."""

    slots: Pool
    recovery: Recovery
    take_over: TakeOver
    unasked: Unasked

    def begin(self, *, restored: bool) -> None:
        """What a start begins with (restored: `runner.taking_over`). Raises RecordsFault, and ForgeDown if restored."""
        self.take_over.take_over(restored=restored)
        self.recovery.recover()

    def mend(self) -> None:
        """What could not be recorded goes on. Raises RecordsFault."""
        self.slots.revive()
        self.recovery.look()


def comeback_of(
    policy: Policy,
    slots: Pool,
    *,
    closing: Closing,
    keeper: Keeper,
    forge: Forge,
    timeline: Timeline,
    moments: MomentBook,
    service: Service,
    every_s: float,
) -> Comeback:
    """Of the daemon's parts; does nothing yet. every_s: see `Unasked`."""
    records, clock = closing.records, timeline.clock

    def last_of(run: RunRecord) -> RoundInput:
        return records.round_input(run.run_id, run.round) or first_round(run, policy.ladder, policy.bounds)

    restarter = Restarter(records=records, rounds=slots, clock=clock, closing=closing, keeper=keeper)
    back = Reconciler(records=records, forge=forge, clock=clock, restarter=restarter, merged=service.promoter.landed)
    unasked = Unasked(
        records=records,
        reconciler=back,
        book=moments,
        timeline=timeline,
        last_of=last_of,
        alone=service.follower.alone,
        every_s=every_s,
    )
    return Comeback(
        slots=slots,
        recovery=Recovery(
            records=records,
            pool=slots,
            closing=closing,
            clock=clock,
            ladder=policy.ladder,
            bounds=policy.bounds,
            held=unasked.holds,
        ),
        take_over=TakeOver(
            records=records, rounds=slots, restarter=restarter, reconciler=back, unasked=unasked, last_of=last_of
        ),
        unasked=unasked,
    )
