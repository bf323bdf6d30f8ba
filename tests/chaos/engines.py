"""What a container engine says by itself of the sandboxes of a run: those of the harness, or podman's."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from podman import PodmanClient

from tests.fakes.containers import FakeContainers

_BESIDE = ("-relay", "-infra")


class Engine(Protocol):
    """Asked by whoever judges a run; never by the daemon."""

    def started(self, run_id: str) -> list[str]:
        """The names of the sandboxes that were started, as often as they were."""

    def there(self, run_id: str) -> list[str]:
        """What is there of the run: sandboxes and, where the engine has them, pods."""

    def faults(self) -> list[str]:
        """What went wrong in the sandboxes for reasons of the harness's own."""


@dataclass(frozen=True, kw_only=True)
class FakeEngine:
    """The harness's own sandboxes."""

    containers: FakeContainers

    def started(self, run_id: str) -> list[str]:
        return [spec.name for spec in list(self.containers.started) if run_id in spec.name]

    def there(self, run_id: str) -> list[str]:
        return [one.name for one in self.containers.listing() if run_id in one.name]

    def faults(self) -> list[str]:
        return list(self.containers.faults)


@dataclass(frozen=True, kw_only=True)
class PodmanEngine:
    """Real podman, by its events since this was made."""

    url: str
    since: int = field(default_factory=lambda: int(time.time()) - 1)

    def started(self, run_id: str) -> list[str]:
        with PodmanClient(base_url=self.url, timeout=30) as client:
            told: list[dict[str, Any]] = list(
                client.events(
                    since=self.since,
                    until=int(time.time()) + 1,
                    filters={"event": ["start"], "type": ["container"]},
                    decode=True,
                )
            )
        names = [str(one["Actor"]["Attributes"]["name"]) for one in told]
        return [name for name in names if run_id in name and not name.endswith(_BESIDE)]

    def there(self, run_id: str) -> list[str]:
        with PodmanClient(base_url=self.url, timeout=30) as client:
            names = [str(one.name) for one in client.containers.list(all=True)]
            names += [f"pod {one.name}" for one in client.pods.list()]
        return [name for name in names if run_id in name]

    def faults(self) -> list[str]:
        return []
