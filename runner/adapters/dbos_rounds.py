"""`runner.rounds.Rounds` on DBOS. What was measured of it, and why it is set up so, is in docs/adr/0001."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID
from dbos._serialization import Serializer
from sqlalchemy.engine import make_url

from runner.facts import Close, Fact, Step, fact_from_json, fact_to_json, input_from_json, input_to_json
from runner.model import ENGINE_PROTOCOL, RoundInput
from runner.rounds import Interrupted, RoundState

_LOG: Final = logging.getLogger(__name__)
_INTAKE: Final = "intake"
_STATES: Final = {
    "ENQUEUED": RoundState.QUEUED,
    "DELAYED": RoundState.DELAYED,
    "PENDING": RoundState.RUNNING,
    "SUCCESS": RoundState.DONE,
    "ERROR": RoundState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": RoundState.FAILED,
    "CANCELLED": RoundState.FAILED,
}
# A round is recovered at every restart of the daemon while it is in flight: that is no sign of a fault.
_MAX_RECOVERIES: Final = 10_000

State = TypeVar("State")


class _Json(Serializer):
    """Inputs, facts and faults as JSON: a database that somebody could write must not be able to run code here."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=repr, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:  # type: ignore[override]
        return json.loads(serialized_data)

    def name(self) -> str:
        return "json"


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
        polling_s: float = 0.1,
        protocol: int = ENGINE_PROTOCOL,
    ) -> None:
        """Configure; nothing is opened before `launch`. slots: rounds at work at once on this host."""
        self._url = database_url
        self._host_id = host_id
        self._slots = slots
        self._carry_out = carry_out
        self._begin: Callable[[RoundInput], tuple[Any, Step]] = begin
        self._advance: Callable[[Any, Fact], tuple[Any, Step]] = advance
        self._on_fault = on_fault
        self._stopping = stopping
        self._polling_s = polling_s
        self._protocol = protocol

    def launch(self) -> None:
        """See `Rounds.launch`."""
        _wal(self._url)
        config: DBOSConfig = {
            "name": "ashigaru",
            "system_database_url": self._url,
            "executor_id": self._host_id,
            "application_version": f"protocol-{self._protocol}",
            "serializer": _Json(),
            "log_level": "WARNING",
            "console_log_level": "WARNING",
            "enable_otlp": False,
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": self._polling_s,
            "max_executor_threads": self._slots + 16,
        }
        DBOS.destroy(destroy_registry=True)
        DBOS(config=config)
        # DBOS writes attributes on what it registers, which a bound method does not take.
        self._round = DBOS.workflow(name="round", max_recovery_attempts=_MAX_RECOVERIES)(
            lambda data: self._round_body(data)
        )
        self._intake = DBOS.workflow(name="intake", max_recovery_attempts=_MAX_RECOVERIES)(
            lambda data: self._intake_body(data)
        )
        DBOS.listen_queues([self._own_queue, _INTAKE])
        DBOS.launch()
        DBOS.register_queue(_INTAKE, worker_concurrency=16, polling_interval_sec=self._polling_s)
        DBOS.register_queue(self._own_queue, worker_concurrency=self._slots, polling_interval_sec=self._polling_s)

    def submit(self, round_input: RoundInput, *, delay_s: float = 0.0) -> None:
        """See `Rounds.submit`."""
        options = SetEnqueueOptions(delay_seconds=delay_s) if delay_s > 0 else SetEnqueueOptions()
        with SetWorkflowID(_intake_id(round_input.run_id, round_input.number)), options:
            DBOS.enqueue_workflow(_INTAKE, self._intake, input_to_json(round_input))

    def hasten(self, run_id: str, number: int) -> None:
        """See `Rounds.hasten`."""
        if self.state(run_id, number) is RoundState.DELAYED:
            DBOS.set_workflow_delay(_intake_id(run_id, number), delay_seconds=0)

    def state(self, run_id: str, number: int) -> RoundState:
        """See `Rounds.state`."""
        known = DBOS.get_workflow_status(_round_id(run_id, number))
        if known is None:
            known = DBOS.get_workflow_status(_intake_id(run_id, number))
            if known is not None and known.status == "SUCCESS":
                return RoundState.QUEUED
        return RoundState.ABSENT if known is None else _STATES[known.status]

    def evict(self, run_id: str, number: int, to_host: str) -> None:
        """Have another host take over a round whose own host is gone for good; it goes on from the next step."""
        DBOS.resume_workflow(_round_id(run_id, number), queue_name=_host_queue(to_host))

    def close(self, deadline_s: float) -> None:
        """See `Rounds.close`. Steps that poll `stopping` leave by Interrupted; one that does not is left behind."""
        self._stopping.set()
        closing = threading.Thread(target=lambda: DBOS.destroy(workflow_completion_timeout_sec=0), daemon=True)
        closing.start()
        closing.join(deadline_s)

    # --- workflows ---

    @property
    def _own_queue(self) -> str:
        return _host_queue(self._host_id)

    def _intake_body(self, data: dict[str, Any]) -> None:
        """Only assigns a host: the work itself must not be taken by whoever happens to listen."""
        round_input = input_from_json(data)
        with SetWorkflowID(_round_id(round_input.run_id, round_input.number)):
            DBOS.enqueue_workflow(self._own_queue, self._round, data)

    def _round_body(self, data: dict[str, Any]) -> None:
        round_input = input_from_json(data)
        if round_input.protocol != self._protocol:
            self._on_fault(round_input, f"written under engine protocol {round_input.protocol}")
            return
        try:
            state, step = self._begin(round_input)
            while True:
                fact = fact_from_json(DBOS.run_step({"name": step.kind}, self._one_step, round_input, step))
                if isinstance(step, Close):
                    return
                state, step = self._advance(state, fact)
        except Exception as exc:  # the top of the round: what comes here is a fault of ours
            _LOG.exception("a round failed", extra={"run": round_input.run_id})
            self._on_fault(round_input, repr(exc))
            raise

    def _one_step(self, round_input: RoundInput, step: Step) -> dict[str, Any]:
        if self._stopping.is_set():
            raise Interrupted
        return fact_to_json(self._carry_out(round_input, step))


def _round_id(run_id: str, number: int) -> str:
    return f"round:{run_id}:{number}"


def _intake_id(run_id: str, number: int) -> str:
    return f"intake:{run_id}:{number}"


def _host_queue(host_id: str) -> str:
    return f"host-{host_id}"


def _wal(url: str) -> None:
    """Make a new SQLite file in WAL mode, which it then keeps: DBOS would make it in DELETE mode."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(parsed.database) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
