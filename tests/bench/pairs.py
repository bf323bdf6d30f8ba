"""One ticket through the daemon, one through the plain script, in turn, on the same repository and the same forge."""

from __future__ import annotations

import statistics
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.house import BenchFailed, House

_PLAIN: Final = Path(__file__).with_name("plain.sh")
_PLAIN_S: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One ticket: seconds from dispatch to the result being on the forge, without the agent; and where they went."""

    overhead_s: float
    agent_s: float
    split: dict[str, float]
    told_s: float | None = None


@dataclass(kw_only=True)
class Pairs:
    """What was measured of one repository in one state."""

    daemon: list[Timed] = field(default_factory=list)
    plain: list[Timed] = field(default_factory=list)
    daemon_starts: int = 0
    plain_starts: int = 0

    @property
    def ratio(self) -> float:
        """Median of the daemon's overhead by median of the script's."""
        return median(self.daemon) / median(self.plain)


def median(of: list[Timed]) -> float:
    """Seconds."""
    return statistics.median(one.overhead_s for one in of)


@dataclass(kw_only=True)
class Course:
    """Where pairs are run. podman: its command line."""

    house: House
    podman: tuple[str, ...]
    scratch: Path
    issue: int = 1_000
    worked: list[str] = field(default_factory=list)

    def measure(self, repo: str, pairs: int, before: Callable[[], None] = lambda: None) -> Pairs:
        """So many pairs, who goes first by turns. before: done ahead of each ticket of either, off the clock."""
        measured = Pairs()
        since, self.worked = time.time(), []
        for number in range(pairs):
            for who in ("daemon", "plain") if number % 2 == 0 else ("plain", "daemon"):
                before()
                if who == "daemon":
                    measured.daemon.append(self.by_daemon(repo))
                else:
                    measured.plain.append(self.by_script(repo))
        for name in self._started(since):
            # Every container bears the name of the ticket that it was started for.
            ours = [worked for worked in self.worked if worked in name]
            measured.daemon_starts += len(ours) if name.startswith("ash-") else 0
            measured.plain_starts += len(ours) if name.startswith("plain-") else 0
        return measured

    def _started(self, since: float) -> list[str]:
        """Names of the containers that podman has started since then."""
        when = ("--since", str(int(since)), "--until", str(int(time.time()) + 1))
        asked = [*self.podman, "events", "--stream=false", *when, "--filter", "event=start", "--format", "{{.Name}}"]
        return subprocess.run(asked, capture_output=True, encoding="utf-8", check=True).stdout.split()

    def by_daemon(self, repo: str) -> Timed:
        """A ticket's way through the daemon, up to the pull request."""
        self.issue += 1
        called, knew, seen = self.house.work(repo, self.issue, "Write the file.")
        if seen["phase"] != "awaiting_review":
            raise BenchFailed(f"the daemon's ticket ended as {seen}\n{self.house.log()}")
        self.worked.append(seen["run_id"])
        steps = self.house.steps(seen["run_id"])
        split, last = {}, called
        for name, _, ended in steps:
            if name == "close":
                break
            split[name] = split.get(name, 0.0) + ended - last
            last = ended
        split = {"queue": steps[0][1] - called, **split, steps[0][0]: steps[0][2] - steps[0][1]}
        head = self.house.forge.pull(repo, seen["pull"]["number"])
        if head is None:
            raise BenchFailed("the pull request is not there")
        agent = self._inside(repo, head.head_sha)
        return Timed(overhead_s=last - called - agent, agent_s=agent, split=split, told_s=knew - called)

    def by_script(self, repo: str) -> Timed:
        """The same by the plain script, up to the push."""
        name = f"plain-{uuid.uuid4().hex[:8]}"
        self.worked.append(name)
        branch = f"plain/{name}"
        house = self.house
        given = (house.clone_url(repo), str(self.scratch / name), name, house.agent_image, house.gate_image)
        called = time.time()
        done = subprocess.run(
            [str(_PLAIN), *given, branch, "Write the file.", "--", *self.podman],
            capture_output=True,
            encoding="utf-8",
            timeout=_PLAIN_S,
            check=False,
        )
        if done.returncode != 0:
            raise BenchFailed(f"the plain script failed:\n{done.stdout}{done.stderr}")
        told = [(step, float(at)) for step, at in (line.split() for line in done.stdout.splitlines())]
        split, last = {}, called
        for step, at in told:
            split[step] = at - last
            last = at
        agent = self._inside(repo, f"refs/heads/{branch}")
        return Timed(overhead_s=last - called - agent, agent_s=agent, split=split)

    def _inside(self, repo: str, commit: str) -> float:
        """How long the agent was at work, as it wrote down itself in the file it left on the branch."""
        bare = self.house.state / "forge" / f"{repo}.git"
        found = subprocess.run(
            ["git", "-C", str(bare), "show", f"{commit}:bench.txt"], capture_output=True, encoding="ascii", check=True
        )
        began, ended = found.stdout.split()
        return (int(ended) - int(began)) / 1e9
