"""A run with its work on real parts: the built-in forge, the daemon's clone, records, the guard, who publishes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gates.observed import Counts
from gates.verdict import Passed, Verdict
from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.secret_scanner import DetectSecrets
from runner.adapters.sql_records import SqlRecords
from runner.adapters.system_clock import SystemClock
from runner.changes import ChangeKind, FileChange
from runner.ci import CiPolicy
from runner.facts import Collect, Publish
from runner.guard import Guard
from runner.keeping import Keeper
from runner.layout import Layout
from runner.leaks import Marked
from runner.model import Bounds, Candidate, Phase, RoundInput, Tier
from runner.policy import ChangeLimits
from runner.promoting import Promoter
from runner.publishing import Publisher
from runner.records import Judgement, RunRecord
from tests.attack.ground import Ground
from tests.attack.receipts_world import kept
from tests.attack.records_world import attempt_record, run_record
from tests.contract.forge_rig import REPO, Rig, local

RUN: Final = "widgets-1-a"
TOKEN: Final = "ghp_" + "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX"
CANARY: Final = "canary7Qx2Lm9Zt4Kp8Wv3Rn6Yb1"
CI: Final = CiPolicy(trusted=("local-ci",), grace_s=0.0)


@dataclass(frozen=True, kw_only=True)
class PublishingWorld:
    """base: the commit that the run's work is built upon. tree: where its agent writes, as it was given it."""

    rig: Rig
    checkouts: GitCheckouts
    records: SqlRecords
    guard: Guard
    publisher: Publisher
    promoter: Promoter
    keeper: Keeper
    round_input: RoundInput
    base: str
    tree: Path

    @property
    def run(self) -> RunRecord:
        """The run as it is on record now. Raises LookupError."""
        found = self.records.run(RUN)
        if found is None:
            raise LookupError(RUN)
        return found

    def candidate(self, text: str) -> Candidate:
        """A commit that has this text in the file `a`."""
        change = FileChange(kind=ChangeKind.WRITE, path="a", mode="100644", content=text.encode())
        return self.checkouts.commit(RUN, self.base, self.base, (change,), "Mend it")

    def published(self, candidate: Candidate, verdict: Verdict | None = None) -> int:
        """Have it published, as judged; the number of its pull request."""
        said = Passed(summary="fine") if verdict is None else verdict
        step = Publish(candidate=candidate, verdict=said, tier=0, base_sha=self.base)
        return self.publisher.publish(self.round_input, self.run, step).pull

    def judged(self, candidate: Candidate, verdict: Verdict) -> None:
        """Have it on record that the gates said so of it."""
        self.records.save_judgement(
            Judgement(
                run_id=RUN,
                what="head",
                attempt=1,
                take=1,
                commit=candidate.commit,
                tree=candidate.tree,
                head=candidate.commit,
                base_sha=self.base,
                key="k",
                verdict=verdict,
                counts=Counts(),
                at=1.0,
            )
        )

    def under_review(self) -> int:
        """A judged pull request that could be promoted; its number."""
        candidate = self.candidate("good\n")
        self.judged(candidate, Passed(summary="fine"))
        number = self.published(candidate)
        self.records.change(RUN, {"phase": Phase.AWAITING_REVIEW}, 20.0)
        return number

    def collected(self) -> object:
        """What the daemon makes of the agent's tree."""
        return self.keeper.collect(self.round_input, self.run, Collect(attempt=1, tier=0))


def guarding(records: SqlRecords) -> Guard:
    """The real guard, with a token and a canary to look for."""
    return Guard(
        records=records,
        clock=SystemClock(),
        scanner=DetectSecrets(),
        marked=(Marked(name="the GitHub token", value=TOKEN),),
        canary=lambda _run_id: CANARY,
    )


@contextmanager
def publishing_world(ground: Ground, branch: str = f"ashigaru/{RUN}") -> Iterator[PublishingWorld]:
    """A world of the case's own."""
    home, chain = ground.directory(), kept(ground)
    with local(home) as rig:
        checkouts = GitCheckouts(home / "state", name="Daemon", email="daemon@example.org", timeout_s=20)
        checkouts.refresh(REPO, rig.forge.remote(REPO))
        checkouts.clone(RUN, REPO)
        base = checkouts.branch_head(REPO, "main") or ""
        records, clock, layout = SqlRecords(chain.engine), SystemClock(), Layout(state_dir=home / "state")
        records.claim(replace(run_record(repo=REPO), branch=branch))
        records.change(RUN, {"base_sha": base}, 11.0)
        records.begin_attempt(attempt_record(placeholder="placeholder5Hd8Js2Fg7Ka4Mz9Qe"))
        guard = guarding(records)
        tree = layout.attempt(RUN, 1).tree
        tree.parent.mkdir(parents=True)
        checkouts.export(RUN, base, tree)
        yield PublishingWorld(
            rig=rig,
            checkouts=checkouts,
            records=records,
            guard=guard,
            publisher=Publisher(
                checkouts=checkouts,
                forge=rig.forge,
                records=records,
                clock=clock,
                ci=CI,
                guard=guard,
                receipts=chain.chain(),
            ),
            promoter=Promoter(
                records=records, forge=rig.forge, checkouts=checkouts, clock=clock, ci=CI, submit=lambda _input: None
            ),
            keeper=Keeper(
                checkouts=checkouts,
                forge=rig.forge,
                records=records,
                clock=clock,
                layout=layout,
                limits=lambda _repo: ChangeLimits(),
                guard=guard,
            ),
            round_input=RoundInput(
                run_id=RUN,
                number=1,
                repo=REPO,
                issue=1,
                brief="Totals are off by one.",
                base_branch="main",
                branch=branch,
                ladder=(
                    Tier(name="small", model="sonnet", effort="low", max_turns=9, max_micro_usd=9, wall_s=9, idle_s=9),
                ),
                bounds=Bounds(),
            ),
            base=base,
            tree=tree,
        )
