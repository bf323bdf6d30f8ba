"""Images of ours in the daemon's own podman that a newer one has taken the place of, by podman's command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runner.errors import EngineDown
from runner.images.build import RUNNER
from runner.images.recipe import GATE_ROOT, PLAIN_ROOT, REPOSITORY, image_reference, latest, recipes, root_reference
from runner.retention import Kind, Thing

_ANSWER_S: Final = 60.0
_MOST: Final = 200
_NO_TIME: Final = 1 << 63
_NO_SUCH: Final = 1
_IN_USE: Final = 2
"""podman-rmi(1): a container, or another image, stands on it."""


@dataclass(frozen=True, kw_only=True)
class UnusedImages:
    """In the podman that `podman` (a command line to put arguments behind) reaches; it must be nobody else's.

    used: references that the settings name. What any container uses, podman itself does not let go.
    """

    podman: Sequence[str]
    used: frozenset[str]
    kind: Kind = Kind.IMAGE

    def things(self) -> Iterator[Thing]:
        """See `Stock.things`."""
        kept = {image_reference(recipe, RUNNER) for recipe in recipes(RUNNER)}
        kept |= {root_reference(root, RUNNER) for root in (PLAIN_ROOT, GATE_ROOT)}
        kept |= {latest(reference) for reference in kept} | self.used
        yield from unused(self._run("images", "--format", "json").stdout, kept)

    def put_away(self, thing: Thing) -> bool:
        """See `Stock.put_away`; False where a container uses it."""
        done = self._run("rmi", thing.name)
        if done.returncode not in {0, _NO_SUCH, _IN_USE}:
            raise EngineDown("Podman could not remove an image; run `mcp-ashigaru doctor`.")
        return done.returncode != _IN_USE

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*self.podman, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_ANSWER_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise EngineDown("Podman's command line gave no answer; run `mcp-ashigaru doctor`.") from exc


def unused(listed: str, kept: set[str]) -> Iterator[Thing]:
    """Of `podman images --format json`: what has no name, and names of ours that are not kept; 200 at most."""
    try:
        images: Any = json.loads(listed)
    except ValueError:
        return
    found = 0
    for image in images if isinstance(images, list) else ():
        if not isinstance(image, dict) or not isinstance(image.get("Id"), str) or found >= _MOST:
            continue
        named, created, size = image.get("Names") or [], image.get("Created"), image.get("Size")
        if not isinstance(named, list) or not isinstance(created, int) or not isinstance(size, int):
            continue
        if not 0 <= created < _NO_TIME:
            continue
        names = [name for name in named if isinstance(name, str)]
        ours = [name for name in names if name.startswith(f"{REPOSITORY}/") and name not in kept]
        if names and len(ours) < len(names):
            # It has a name that stays, so nothing would be won.
            continue
        for place, name in enumerate(ours or [image["Id"]]):
            found += 1
            yield Thing(kind=Kind.IMAGE, name=name, used_at=float(created), bytes=0 if place else size)
