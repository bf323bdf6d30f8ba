"""What `make bench` prints."""

from __future__ import annotations

import statistics

from tests.bench.pairs import Pairs, Timed, median


def say(text: str) -> None:
    """One line or more of output."""
    print(text, flush=True)  # noqa: T201 - a command line's output


def pairs_told(what: str, pairs: Pairs) -> None:
    """Overhead of both, and where it went."""
    say(f"\n{what}: overhead in ms, medians of {len(pairs.daemon)} pairs; ratio {pairs.ratio:.2f}")
    for who, of, starts in (
        ("daemon", pairs.daemon, pairs.daemon_starts),
        ("script", pairs.plain, pairs.plain_starts),
    ):
        spread = statistics.quantiles([one.overhead_s * 1000 for one in of], n=4) if len(of) > 1 else [0.0] * 3
        say(
            f"  {who}  {median(of) * 1000:5.0f}  quartiles {spread[0]:.0f} to {spread[2]:.0f}, "
            f"{starts / len(of):.1f} container starts\n          {_split(of)}"
        )
    told = [one.told_s for one in pairs.daemon if one.told_s is not None]
    say(f"  a client that waits knew of the pull request after {statistics.median(told) * 1000:.0f}")


def _split(of: list[Timed]) -> str:
    names = dict.fromkeys(name for one in of for name in one.split)
    shares = {name: statistics.median(one.split.get(name, 0.0) for one in of) for name in names}
    return "  ".join(f"{name} {share * 1000:.0f}" for name, share in shares.items())
