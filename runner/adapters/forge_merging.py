"""How the local forge merges: one squash, announced in the records before the base branch moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from runner.adapters.forge_house import ForgeHouse
from runner.adapters.forge_records import PullRecord
from runner.adapters.git_plumbing import Identity, branch_ref
from runner.model import CheckState, Merged, MergeRefused, PullState, ReviewedHead

_FORGE: Final = Identity(name="ashigaru local forge", email="forge@localhost")


def merge(house: ForgeHouse, reviewed: ReviewedHead, title: str, body: str) -> Merged | MergeRefused:
    """See `Forge.merge`."""
    with house.only_one(reviewed.repo):
        record = house.store.pull(reviewed.repo, reviewed.pull)
        if record is None:
            return MergeRefused(reason=f"{reviewed.repo} has no pull request {reviewed.pull}; look at its list.")
        record = house.settled(record)
        match record.state:
            case PullState.MERGED if record.merged_sha is not None and record.head_sha == reviewed.head_sha:
                _tidy(house, record)
                return Merged(sha=record.merged_sha)
            case PullState.OPEN:
                return _squash(house, record, reviewed, f"{title} (#{record.number})\n\n{body}".rstrip() + "\n")
            case _:
                return MergeRefused(reason=f"The pull request is {record.state} already; open a new one.")


def _squash(house: ForgeHouse, record: PullRecord, reviewed: ReviewedHead, message: str) -> Merged | MergeRefused:
    bare = house.bare(record.repo)
    head, base = bare.head(record.head_branch), bare.head(record.base_branch)
    if head != reviewed.head_sha:
        return MergeRefused(reason="The head moved after it was judged; look at status and promote again.")
    if base != reviewed.base_sha:
        return MergeRefused(reason=f"{record.base_branch} moved after the judgement; promote again to judge anew.")
    tree = bare.merged_tree(base, head)
    if tree is None:
        return MergeRefused(reason=f"The branch conflicts with {record.base_branch}; ask for changes.")
    if tree != reviewed.tree:
        return MergeRefused(reason="The merged files are not the ones that were judged; promote again.")
    lacking = _lacking(house, record, head)
    if lacking is not None:
        return MergeRefused(reason=f"{record.base_branch} requires the check {lacking}; see that it passes.")
    house.store.ready(record.repo, record.number)
    squash = bare.commit_tree(tree, base, message, _FORGE, bare.date_of(base) + 1)
    house.store.begin_merge(record.repo, record.number, head_sha=head, base_sha=base, squash=squash)
    # The head stays reachable for the diff after its branch is gone.
    bare.point(f"refs/pull/{record.number}/head", head)
    if not bare.point(branch_ref(record.base_branch), squash, base):
        return MergeRefused(reason=f"{record.base_branch} moved during the merge; promote again to judge anew.")
    house.store.end_merge(record.repo, record.number)
    _tidy(house, replace(record, head_sha=head))
    return Merged(sha=squash)


def _tidy(house: ForgeHouse, record: PullRecord) -> None:
    house.bare(record.repo).drop(record.head_branch, record.head_sha)


def _lacking(house: ForgeHouse, record: PullRecord, head: str) -> str | None:
    """Name of a required check that was not reported on the head or has not passed; None: none is."""
    told = house.store.talk.checks(record.repo, head)
    for required in house.store.talk.required(record.repo, record.base_branch):
        states = {c.state for c in told if c.name == required.name and required.source in {None, c.source}}
        if states != {CheckState.PASSED}:
            return required.name
    return None
