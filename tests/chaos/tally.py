"""What came of all the kills, as a table and one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.chaos.choosing import Attempt
from tests.chaos.driving import Ended

RANDOM = "(random)"


@dataclass(kw_only=True)
class _Row:
    hit: int = 0
    words: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    residue: int = 0


@dataclass(kw_only=True)
class Tally:
    """Add up, then tell. runs: those with random kills; of one in which nothing was killed only its end counts."""

    rows: dict[str, _Row] = field(default_factory=dict)
    kills: int = 0
    runs: int = 0
    lost: int = 0
    duplicates: int = 0
    residue: int = 0

    def add(self, attempt: Attempt, ended: Ended) -> None:
        """One more."""
        row = self.rows.setdefault(attempt.point or RANDOM, _Row())
        row.hit += len(ended.killed)
        row.words[ended.word] += 1
        row.duplicates += len(ended.difference.duplicates)
        row.residue += len(ended.difference.residue)
        self.kills += len(ended.killed)
        self.runs += not attempt.point
        self.lost += bool(ended.difference.lost)
        self.duplicates += len(ended.difference.duplicates)
        self.residue += len(ended.difference.residue)

    @property
    def clean(self) -> bool:
        """Whether something was killed, and nothing was lost, doubled or left by it."""
        return self.kills > 0 and self.lost == self.duplicates == self.residue == 0

    def lines(self) -> Iterator[str]:
        """The table, and the last line."""
        width = max(map(len, self.rows), default=10)
        yield f"{'fault point':<{width}}  times hit  ending      duplicates  residue"
        for point, row in sorted(self.rows.items()):
            ending = "the same" if set(row.words) <= {"the same"} else _counted(row.words)
            yield f"{point:<{width}}  {row.hit:>9}  {ending:<10}  {row.duplicates:>10}  {row.residue:>7}"
        points = sum(point != RANDOM and row.hit > 0 for point, row in self.rows.items())
        yield (
            f"chaos: points={points} kills={self.kills} runs={self.runs} "
            f"lost={self.lost} duplicates={self.duplicates} residue={self.residue}"
        )


def _counted(words: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
