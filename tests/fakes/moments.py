"""A book of moments in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.timeline import Kept


@dataclass(kw_only=True)
class FakeMoments:
    """`runner.timeline.MomentBook`; outlives whoever uses it, as the database does."""

    kept: dict[str, Kept] = field(default_factory=dict)

    def keep(self, kept: Kept) -> None:
        self.kept[kept.name] = kept

    def all(self, prefix: str) -> list[Kept]:
        return [kept for name, kept in sorted(self.kept.items()) if name.startswith(prefix)]

    def forget(self, name: str) -> None:
        self.kept.pop(name, None)
