"""A GitHub that fails on command, and an adapter whose clock belongs to the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runner.adapters.github_forge import GithubForge, github_forge
from tests.contract.forge_rig import REPO, Others, source
from tests.contract.github_rig import SECRET, add_repo, admit, others
from tests.fakes.github.faults import Fault, How
from tests.fakes.github.running import running_double
from tests.fakes.github.state import Asked, State
from tests.fakes.github.world import Repo, World
from tests.git_rig import commit_all, git, write


@dataclass
class OwnClock:
    """Time that passes only in sleep; its zero is the double's now."""

    state: State
    passed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.state.clock.now()

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds
        self.state.clock.advance(seconds)


@dataclass(frozen=True, kw_only=True)
class Failing:
    """The adapter, the double behind it, and a person's work tree."""

    forge: GithubForge
    state: State
    repo: Repo
    origin: str
    clock: OwnClock
    others: Others
    work: Path

    @property
    def url(self) -> str:
        return f"{self.origin}/api/v3"

    def fail(
        self,
        method: str,
        path: str,
        how: How,
        *,
        times: int = 1,
        status: int = 502,
        retry_after: int | None = None,
        moment: World | None = None,
    ) -> Fault:
        fault = Fault(
            method=method,
            path=re.compile(path),
            times=times,
            how=how,
            status=status,
            retry_after=retry_after,
            moment=moment,
        )
        self.state.faults.add(fault)
        return fault

    def asked(self, method: str = "", path: str = ".*") -> list[Asked]:
        """What was asked since the last `forget`."""
        return [one for one in self.state.log if method in {"", one.method} and re.fullmatch(path, one.path)]

    def forget(self) -> None:
        self.state.log.clear()

    def branch(self, name: str, **files: str) -> str:
        git(self.work, "checkout", "--quiet", "-B", name, "main")
        write(self.work, files)
        commit_all(self.work, f"work on {name}")
        git(self.work, "push", "--quiet", "--force", str(self.state.git.path(self.repo.id)), f"HEAD:refs/heads/{name}")
        return git(self.work, "rev-parse", "HEAD")

    def tip(self, branch: str) -> str | None:
        return self.state.head(self.repo, branch)


@contextmanager
def failing(tmp_path: Path, *, deadline_s: float = 90.0, timeout_s: float = 20.0) -> Iterator[Failing]:
    """GitHub with acme/widgets."""
    work = source(tmp_path)
    with running_double(tmp_path) as double:
        state = double.state
        state.mergeable_reads = 0
        admit(state)
        repo = add_repo(state, REPO, work)
        clock = OwnClock(state)
        url = f"{double.origin}/api/v3"
        yield Failing(
            forge=github_forge(url, clock, token=SECRET, deadline_s=deadline_s, timeout_s=timeout_s),
            state=state,
            repo=repo,
            origin=double.origin,
            clock=clock,
            others=others(state, repo, work),
            work=work,
        )
