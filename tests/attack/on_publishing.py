"""Group G: something else than was judged is published, or merged. The real forge, git, records and publisher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from gates.verdict import NeedsHuman, Passed, Unjudged, Verdict
from runner import promotion, publishing
from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.sql_records import SqlRecords
from runner.errors import Leaked, RunnerError
from runner.facts import Collect, Collected, NothingChanged
from runner.intents import Promote
from runner.keeping import Keeper
from runner.model import Candidate, RoundInput
from runner.promoting import Promoted
from runner.publishing import LABEL, LABEL_NEEDS_HUMAN, LABEL_UNJUDGED
from runner.records import RunRecord
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.publishing_world import CANARY, RUN, PublishingWorld, publishing_world
from tests.attack.receipts_world import AnyText
from tests.attack.taking_out import out, replaced
from tests.contract.forge_rig import REPO, draft
from tests.git_rig import git


def _case(defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group="G", defence=defence, vector=vector, tried=tried, attempt=attempt)


def _swapped(verdict: Verdict, ground: Ground) -> Outcome:
    """The tree that was judged is good; the commit that is to be pushed holds another."""
    with publishing_world(ground) as world:
        good, evil = world.candidate("good\n"), world.candidate("evil\n")
        try:
            world.published(Candidate(commit=evil.commit, tree=good.tree), verdict)
        except RunnerError as fault:
            told = str(fault)
        else:
            told = "it was not pushed"
        there = world.rig.tip(world.run.branch)
    return Through(what="what no gate saw is pushed") if there == evil.commit else Stopped(by=told)


def _unlabelled(verdict: Verdict, label: str, ground: Ground) -> Outcome:
    with publishing_world(ground) as world:
        number = world.published(world.candidate("good\n"), verdict)
        labels = world.rig.others.labels(number)
    if label in labels:
        return Stopped(by=f"it is labelled {label!r}")
    return Through(what=f"a pull request looks as if the gates had passed it: {', '.join(labels)}")


def _touched(world: PublishingWorld) -> None:
    """The same bytes, written anew."""
    for path in (world.tree / "a", world.tree / "b"):
        text = path.read_bytes()
        path.unlink()
        path.write_bytes(text)


def _emptied_folders(world: PublishingWorld) -> None:
    """What git has no word for."""
    (world.tree / "empty" / "deep").mkdir(parents=True)


def _the_same_again(world: PublishingWorld) -> None:
    """What is under review already."""
    (world.tree / "a").write_text("good\n", encoding="utf-8")
    world.under_review()


def _empty(change: Callable[[PublishingWorld], object], ground: Ground) -> Outcome:
    with publishing_world(ground) as world:
        change(world)
        before = world.run.head_tree
        made = world.collected()
        trees = {before, world.checkouts.tree_of(RUN, world.base)}
    if isinstance(made, Collected) and made.candidate.tree in trees:
        return Through(what="a candidate without a change is judged and published")
    return Stopped(by=f"{type(made).__name__}")


def _whatever_there_is(self: Keeper, round_input: RoundInput, run: RunRecord, step: Collect) -> Any:
    made = _COLLECT(self, round_input, run, step)
    if not isinstance(made, NothingChanged):
        return made
    base = run.base_sha or ""
    tree = self.layout.attempt(run.run_id, step.attempt).tree
    changes = self.checkouts.changes(run.run_id, base, tree).changes
    candidate = self.checkouts.commit(run.run_id, base, run.head_sha or base, changes, round_input.brief)
    return Collected(candidate=candidate, files=0, diff="")


_COLLECT = Keeper.collect


def _somebody_elses(ground: Ground) -> Outcome:
    """A person opens a pull request of their own, of the very commit that was judged."""
    with publishing_world(ground) as world:
        world.under_review()
        head = world.run.head_sha or ""
        git(world.rig.work, "fetch", "--quiet", str(_bare(world)), head)
        git(world.rig.work, "checkout", "--quiet", "-B", "theirs", head)
        world.rig.push("theirs")
        theirs = world.rig.forge.open_pull(draft("theirs"))
        said = world.promoter.promote(Promote(repo=REPO, pull=theirs.number))
        merged = world.rig.tip("main") != world.base
    if isinstance(said, Promoted) or merged:
        return Through(what="a pull request of a person's own was merged")
    return Stopped(by=said.reason)


def _bare(world: PublishingWorld) -> Any:
    return world.rig.work.parent / "forge" / f"{REPO}.git"


def _any_run(self: SqlRecords, repo: str, _number: int) -> RunRecord | None:
    return next((one for one in map(self.run, [RUN]) if one is not None and one.repo == repo), None)


def _quarantined(ground: Ground) -> Outcome:
    """A later round of a run under review tells the canary; then somebody promotes what is there."""
    with publishing_world(ground) as world:
        number = world.under_review()
        (world.tree / "a").write_text(f"{CANARY}\n", encoding="utf-8")
        try:
            world.collected()
        except Leaked:
            said = world.promoter.promote(Promote(repo=REPO, pull=number))
        else:
            return Through(what="the canary was not seen")
        merged = world.rig.tip("main") != world.base
    if isinstance(said, Promoted) or merged:
        return Through(what="the work of an agent that read the canary was merged")
    return Stopped(by=said.reason)


def _forgetting() -> Any:
    real = promotion._obstacle

    def obstacle(run: RunRecord, *others: Any) -> str | None:
        return real(replace(run, quarantined=None), *others)

    return replaced((promotion, "_obstacle", obstacle))


_DEFENCES = (
    Defence(
        name="published-as-judged",
        sentence="What is pushed holds exactly the tree that was judged.",
        without=out(GitCheckouts, "tree_of", lambda *_arguments: AnyText()),
    ),
    Defence(
        name="published-with-its-verdict",
        sentence="A pull request says so where the gates did not pass it.",
        without=out(publishing, "_labels", lambda _verdict: (LABEL,)),
    ),
    Defence(
        name="no-empty-candidate",
        sentence="Where nothing changed there is nothing to judge or to publish.",
        without=out(Keeper, "collect", _whatever_there_is),
    ),
    Defence(
        name="promotes-its-own-alone",
        sentence="Only a pull request that a run opened is promoted.",
        without=out(SqlRecords, "run_of_pull", _any_run),
    ),
    Defence(
        name="quarantined-is-not-promoted",
        sentence="What a quarantined run has under review is not promoted.",
        without=_forgetting,
    ),
)

_CASES = (
    *(
        _case("published-as-judged", vector, f"swap the tree between {tried} and the push", partial(_swapped, verdict))
        for vector, tried, verdict in (
            ("passed", "a green verdict", Passed(summary="fine")),
            ("needs-human", "a verdict for a person", NeedsHuman(summary="look", findings=("a test changed",))),
        )
    ),
    *(
        _case("published-with-its-verdict", vector, f"publish what {tried}", partial(_unlabelled, verdict, label))
        for vector, tried, verdict, label in (
            ("needs-human", "a person must look at", NeedsHuman(summary="look", findings=("x",)), LABEL_NEEDS_HUMAN),
            ("unjudged", "nobody judged", Unjudged(), LABEL_UNJUDGED),
        )
    ),
    *(
        _case("no-empty-candidate", vector, tried, partial(_empty, change))
        for vector, tried, change in (
            ("touched", "write the same bytes anew", _touched),
            ("empty-folders", "make folders without a file", _emptied_folders),
            ("the-same-again", "leave what is under review already", _the_same_again),
        )
    ),
    _case("promotes-its-own-alone", "persons", "promote a person's pull request of a judged commit", _somebody_elses),
    _case("quarantined-is-not-promoted", "under-review", "tell the canary once the work is under review", _quarantined),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
