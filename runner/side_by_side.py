"""Jobs that wait for sandboxes, several at once: in order, up to a bound, and all of them let go of together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Final, TypeVar

from gates.plan import Gate
from runner.rounds import Interrupted
from runner.sandbox_run import Cancelled

_LOOK_S: Final = 0.1

T = TypeVar("T")
Cancel = Callable[[], bool]


class Places:
    """So many sandboxes at once, whoever asks for one."""

    def __init__(self, most: int) -> None:
        """`most`: at least one."""
        self._free = threading.Semaphore(most)

    @contextmanager
    def one(self, cancelled: Cancel) -> Iterator[None]:
        """Hold a place, waited for. Raises Cancelled."""
        while not self._free.acquire(timeout=_LOOK_S):
            if cancelled():
                raise Cancelled
        try:
            yield
        finally:
            self._free.release()


def together(jobs: Sequence[Callable[[Cancel], T]], cancelled: Cancel) -> list[T]:
    """The results of all of them, done at once. The first that raises has the others let go of, and is raised."""
    if len(jobs) < 2:
        return [job(cancelled) for job in jobs]
    left = threading.Event()
    with ThreadPoolExecutor(max_workers=len(jobs), thread_name_prefix="take") as pool, _letting_go(left):
        doing = [pool.submit(job, lambda: left.is_set() or cancelled()) for job in jobs]
        for one in _as_they_end(doing):
            one.result()
    return [one.result() for one in doing]


def in_order(
    gates: Sequence[Gate],
    ask: Callable[[Gate, Cancel], T],
    is_red: Callable[[T], bool],
    cancelled: Cancel,
    *,
    keep_going: bool,
) -> list[T]:
    """The answers for those gates, in their order: each is asked once all that it needs are green.

    A red one of a required gate has those under way let go of and the rest left out, unless `keep_going`; `is_red`
    tells. What needs a red gate is left out in any case.
    """
    if len(gates) == 1:
        return [ask(gates[0], cancelled)]
    left = threading.Event()
    answers: dict[str, T] = {}
    doing: dict[Future[T], Gate] = {}
    waiting = list(gates)
    with ThreadPoolExecutor(max_workers=len(gates), thread_name_prefix="gate") as pool, _letting_go(left):
        while (doing or waiting) and not left.is_set():
            green = {name for name, answer in answers.items() if not is_red(answer)}
            for gate in [one for one in waiting if green.issuperset(one.needs)]:
                waiting.remove(gate)
                doing[pool.submit(ask, gate, lambda: left.is_set() or cancelled())] = gate
            if not doing:
                break
            for ended in wait(doing, return_when=FIRST_COMPLETED).done:
                gate = doing.pop(ended)
                answers[gate.name] = ended.result()
                if is_red(answers[gate.name]) and gate.required and not keep_going:
                    left.set()
    for rest, gate in doing.items():
        # Let go of, or it had ended by then.
        if not isinstance(rest.exception(), Cancelled):
            answers[gate.name] = rest.result()
    return [answers[gate.name] for gate in gates if gate.name in answers]


@contextmanager
def _letting_go(left: threading.Event) -> Iterator[None]:
    """A fault has everybody let go, except that the daemon leaves: then each leaves its sandbox at work by itself."""
    try:
        yield
    except Interrupted:
        raise
    except BaseException:
        left.set()
        raise


def _as_they_end(doing: Sequence[Future[T]]) -> Iterator[Future[T]]:
    left = set(doing)
    while left:
        ended, left = wait(left, return_when=FIRST_COMPLETED)
        yield from ended
