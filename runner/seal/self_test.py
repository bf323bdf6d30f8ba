"""Every assertion at every place, and every bound tried, on the host that this runs on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from runner.errors import SandboxFault
from runner.seal.assertions import Checked, Host, Looked, Result, judged
from runner.seal.bounds import TRIALS
from runner.seal.bounds import judged as judged_bound
from runner.seal.looking import Ground, look, try_bound
from runner.seal.places import Place

LOOKED_AT = "it can be looked at"


def self_test(
    ground: Ground,
    *,
    host: Host,
    unenforceable: Sequence[str],
    secrets: tuple[str, ...],
    told: Callable[[str], None] = lambda _line: None,
) -> Iterator[Checked]:
    """Each assertion with what came of it, as it is made; no sandbox is left behind.

    unenforceable: the host's means that it is known to lack. secrets: what may be read in no sandbox. told: hears what
    is looked at next. A place that cannot be looked at is BROKEN: nothing is known of it. Raises Unavailable.
    """
    try:
        for place in Place:
            told(f"looking at {place}")
            yield from _at(ground, place, host, secrets)
        for name in TRIALS:
            told(f"trying whether {name}")
            try:
                yield judged_bound(name, try_bound(ground, name), unenforceable)
            except SandboxFault as fault:
                yield Checked(place=Place.GATE, asserted=name, result=Result.BROKEN, saw=str(fault))
    finally:
        clear(ground)


def _at(ground: Ground, place: Place, host: Host, secrets: tuple[str, ...]) -> Iterator[Checked]:
    try:
        found = look(ground, place)
    except SandboxFault as fault:
        yield Checked(place=place, asserted=LOOKED_AT, result=Result.BROKEN, saw=str(fault))
    else:
        yield from judged(Looked(place=place, seen=found.seen, bounds=found.bounds, host=host, secrets=secrets))
    clear(ground)


def clear(ground: Ground) -> None:
    """No sandbox of the owner's is left. Raises SandboxFault, Unavailable."""
    for found in ground.containers.listing(ground.owner.run_id):
        ground.containers.remove(found.name)
