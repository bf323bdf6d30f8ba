"""`runner.rounds.Rounds` on DBOS. What was measured of it, and why it is set up so, is in docs/adr/0001."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from runner.adapters.dbos_calls import DATABASE, outside, translated, workflow
from runner.adapters.dbos_doorbell import Doorbells
from runner.adapters.dbos_json import JsonOnly, refuse_pickle
from runner.adapters.dbos_names import IN_FLIGHT, host_queue, intake_id, round_id
from runner.adapters.dbos_states import states_of
from runner.adapters.sql_engine import write_ahead
from runner.adapters.sql_faults import trouble
from runner.errors import RecordsFault, UnknownRun
from runner.facts import Close, Fact, Step
from runner.facts_json import fact_from_json, fact_to_json, input_from_json, input_to_json
from runner.model import ENGINE_PROTOCOL, RoundInput
from runner.rounds import Interrupted, RoundKey, RoundState

_LOG: Final = logging.getLogger(__name__)
_INTAKE: Final = "intake"
_INTAKES_AT_ONCE: Final = 16
# Between two looks for work, of which nobody may tell us; where we alone enqueue, a bell tells of all but what is due.
_POLL_S: Final = 0.5
_ALONE_POLL_S: Final = 2.0
_LISTENER_S: Final = 0.1  # nobody is told anything that way, but closing waits for it
# How much of close's time is kept for the engine's own threads.
_ENGINE_SHARE: Final = 0.4

State = TypeVar("State")
Answer = TypeVar("Answer")


class DbosRounds:
    """One per process: DBOS keeps its registry in the interpreter."""

    def __init__(  # noqa: PLR0913 - the composition root names each
        self,
        database_url: str,
        *,
        host_id: str,
        slots: int,
        carry_out: Callable[[RoundInput, Step], Fact],
        begin: Callable[[RoundInput], tuple[State, Step]],
        advance: Callable[[State, Fact], tuple[State, Step]],
        on_fault: Callable[[RoundInput, str], None],
        stopping: threading.Event,
        choose_host: Callable[[RoundInput], str] | None = None,
        on_stuck: Callable[[str], None] | None = None,
        due: Callable[[RoundInput], None] | None = None,
        give_way: Callable[[], None] = lambda: None,
        polling_s: float | None = None,
        protocol: int = ENGINE_PROTOCOL,
    ) -> None:
        """Configure; nothing is opened before `launch`.

        slots: rounds at work at once on this host. on_fault: told when a round died of a fault of ours.
        choose_host: which host a new round goes to; None for the one that happens to take it in. on_stuck: told why
        the engine cannot write for now; `revive` has what it let go of go on. due: given a round whose time has come,
        in the place of a host; it has to be safe twice. give_way: called
        before each look for work that nobody told of.
        """
        self._url = database_url
        self._host_id = host_id
        self._slots = slots
        self._carry_out = carry_out
        self._first: Callable[[RoundInput], tuple[Any, Step]] = begin
        self._advance: Callable[[Any, Fact], tuple[Any, Step]] = advance
        self._on_fault = on_fault
        self._on_stuck = on_stuck or (lambda _: None)
        self._let_go: dict[str, str] = {}
        """Workflows that could not be recorded, and their queues: at most the slots and those being taken in."""
        self._stopping = stopping
        # A SQLite file has one host, and that is us.
        self._alone = choose_host is None and make_url(database_url).get_backend_name() == "sqlite"
        self._choose_host = choose_host or (lambda _: host_id)
        self._due = due
        self._polling_s = polling_s or (_ALONE_POLL_S if self._alone else _POLL_S)
        self._protocol = protocol
        self._give_way = give_way
        self._bells = Doorbells()
        self._at_work = 0
        self._held = threading.Event()
        self._left = threading.Condition()

    def launch(self) -> None:
        """See `Rounds.launch`."""
        config: DBOSConfig = {
            "name": "ashigaru",
            "system_database_url": self._url,
            "executor_id": self._host_id,
            "application_version": f"protocol-{self._protocol}",
            "serializer": JsonOnly(),
            "log_level": "WARNING",
            "console_log_level": "WARNING",
            "enable_otlp": False,
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": _LISTENER_S,
            "max_executor_threads": self._slots + _INTAKES_AT_ONCE,
        }
        refuse_pickle()
        with translated():
            write_ahead(self._url)
            DBOS.destroy(destroy_registry=True)
            self._bells = Doorbells(self._give_way)
            DBOS(config=config).background_thread_stop_events = self._bells
            self._round = workflow("round", self._round_body)
            self._intake = workflow("intake", self._intake_body)
            # Before the launch, or it listens to every queue there is; the queues themselves need the launched engine.
            DBOS.listen_queues([host_queue(self._host_id), _INTAKE])
            DBOS.launch()
            self._register(_INTAKE, _INTAKES_AT_ONCE)
            self._register(host_queue(self._host_id), self._slots)
            self._bells.ring()

    def submit(self, round_input: RoundInput, *, delay_s: float = 0.0) -> None:
        """See `Rounds.submit`."""

        def enqueue() -> None:
            if self._alone and delay_s <= 0:
                # What intake would do, without waiting for its turn.
                self._enqueue(round_input, self._host_id)
                return
            options = SetEnqueueOptions(delay_seconds=delay_s) if delay_s > 0 else SetEnqueueOptions()
            with SetWorkflowID(intake_id(round_input.run_id, round_input.number)), options:
                DBOS.enqueue_workflow(_INTAKE, self._intake, input_to_json(round_input))

        outside(enqueue)
        self._bells.ring()

    def begin(self, round_input: RoundInput) -> None:
        """See `Carrier.begin`."""
        outside(lambda: self._enqueue(round_input, self._host_id))
        self._bells.ring()

    def hasten(self, run_id: str, number: int) -> None:
        """See `Rounds.hasten`."""
        # The engine leaves alone whatever is not delayed (any more).
        outside(lambda: DBOS.set_workflow_delay(intake_id(run_id, number), delay_seconds=0))

    def fence(self, run_id: str, number: int) -> None:
        """See `Rounds.fence`."""
        ids = [round_id(run_id, number), intake_id(run_id, number)]
        outside(lambda: DBOS.cancel_workflows(ids))

    def states(self, rounds: Sequence[RoundKey]) -> dict[RoundKey, RoundState]:
        """See `Rounds.states`."""
        return states_of(rounds, tells=self._due is not None)

    def revive(self) -> None:
        """See `Rounds.revive`."""
        for one, queue in list(self._let_go.items()):
            # Forgotten first: one that is let go of again at once is to be known again.
            self._let_go.pop(one, None)
            try:
                known = outside(partial(DBOS.get_workflow_status, one))
                if known is not None and known.status == IN_FLIGHT:  # and not fenced meanwhile
                    outside(partial(DBOS.resume_workflow, one, queue_name=queue))
            except RecordsFault:
                self._let_go[one] = queue
                raise
        self._bells.ring()

    def evict(self, run_id: str, number: int, to_host: str) -> None:
        """Have another host take over a round whose own host is gone for good; it goes on from the next step.

        An ended round is left as it is. Raises UnknownRun when no host was ever assigned to it.
        """
        if outside(lambda: DBOS.get_workflow_status(round_id(run_id, number))) is None:
            raise UnknownRun(f"No host has round {number} of run {run_id}; there is nothing to move.")
        outside(lambda: DBOS.resume_workflow(round_id(run_id, number), queue_name=host_queue(to_host)))

    def hold(self) -> None:
        """See `Rounds.hold`."""
        self._held.set()

    def at_rest(self, patience_s: float) -> bool:
        """See `Rounds.at_rest`."""
        with self._left:
            return self._left.wait_for(lambda: self._at_work == 0, timeout=patience_s)

    def close(self, deadline_s: float) -> bool:
        """See `Rounds.close`. Steps that poll `stopping` leave by Interrupted; one that does not is left behind."""
        ends = time.monotonic() + deadline_s
        self._stopping.set()
        with self._left:
            # First the steps: one that is about to be done can still be recorded while the engine is up.
            idle = self._left.wait_for(lambda: self._at_work == 0, timeout=deadline_s * (1 - _ENGINE_SHARE))
        closing = threading.Thread(target=DBOS.destroy, name="rounds-closing", daemon=True)
        closing.start()
        closing.join(max(0.0, ends - time.monotonic()))
        return idle and not closing.is_alive()

    # --- inner ---

    def _register(self, queue: str, at_once: int) -> None:
        # always_update: otherwise a process that is not of the newest protocol could not change its own slots.
        DBOS.register_queue(
            queue,
            worker_concurrency=at_once,
            polling_interval_sec=self._polling_s,
            on_conflict="always_update",
        )

    def _intake_body(self, data: dict[str, Any]) -> None:
        """Only assigns a host, or says that it is due: the work itself must not be taken by whoever listens."""
        round_input = input_from_json(data)
        with self._watched(round_input, _INTAKE):
            if self._due is not None:
                self._due(round_input)
                return
            self._enqueue(round_input, self._choose_host(round_input))
        self._bells.ring()

    def _enqueue(self, round_input: RoundInput, host: str) -> None:
        with SetWorkflowID(round_id(round_input.run_id, round_input.number)):
            DBOS.enqueue_workflow(host_queue(host), self._round, input_to_json(round_input))

    def _round_body(self, data: dict[str, Any]) -> None:
        round_input = input_from_json(data)
        with self._counted(), self._watched(round_input, host_queue(self._host_id)):
            if self._held.is_set():
                raise Interrupted
            if round_input.protocol != self._protocol:
                raise _Fenced(f"written under engine protocol {round_input.protocol}, this is {self._protocol}")
            state, step = self._first(round_input)
            while True:
                fact = fact_from_json(DBOS.run_step({"name": step.kind}, self._one_step, round_input, step))
                if isinstance(step, Close):
                    return
                state, step = self._advance(state, fact)

    def _one_step(self, round_input: RoundInput, step: Step) -> dict[str, Any]:
        if self._stopping.is_set():
            raise Interrupted
        return fact_to_json(self._carry_out(round_input, step))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._left:
            self._at_work += 1
        try:
            yield
        finally:
            with self._left:
                self._at_work -= 1
                self._left.notify_all()

    @contextmanager
    def _watched(self, round_input: RoundInput, queue: str) -> Iterator[None]:
        """Tell a fault of ours from the engine being gone or unable to write, which leaves the round in flight."""
        extra = {"run": round_input.run_id}
        name = intake_id if queue == _INTAKE else round_id
        unfinished = name(round_input.run_id, round_input.number)
        try:
            yield
        except Interrupted:
            if not (self._stopping.is_set() or self._held.is_set()):
                # It gave up for now, as a close that cannot be done: nobody else would have it go on before a start.
                self._let_go[unfinished] = queue
            raise
        except SQLAlchemyError as exc:
            why = trouble(DATABASE, exc)
            if why is None or self._stopping.is_set():
                _LOG.exception("a round's fact could not be recorded; the round goes on at the next start", extra=extra)
                raise Interrupted from exc
            self._let_go[unfinished] = queue
            self._on_stuck(why)
            _LOG.warning("a round's fact could not be recorded; the round goes on when it can", extra=extra)
            raise Interrupted from exc
        except Exception as exc:  # the top of the round: what comes here is a fault of ours
            if self._stopping.is_set():
                # `close` took the engine from under a step that was slow to leave.
                raise Interrupted from exc
            _LOG.exception("a round failed", extra=extra)
            self._on_fault(round_input, repr(exc))
            raise


class _Fenced(Exception):
    """The round was written under another engine protocol: its steps may not mean what ours mean."""
