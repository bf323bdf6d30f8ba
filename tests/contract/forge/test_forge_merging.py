"""What every `Forge` promises of a merge: what was judged, once, or not at all."""

from __future__ import annotations

from dataclasses import replace

from runner.model import Merged, MergeRefused, PullState
from tests.contract.forge_rig import REPO, Rig, draft
from tests.git_rig import git


def test_a_merge_is_one_commit_on_the_base_with_the_judged_tree(rig: Rig) -> None:
    base = rig.tip("main")
    rig.branch("work", a="changed\n")
    git(rig.work, "commit", "--quiet", "--allow-empty", "-m", "second")
    rig.push("work")
    pull = rig.forge.open_pull(draft())
    reviewed = rig.reviewed(pull)
    merged = rig.forge.merge(reviewed, "Fix it", "Why.")
    assert isinstance(merged, Merged)
    assert rig.tip("main") == merged.sha
    git(rig.work, "fetch", "--quiet", "--no-tags", *_from(rig), "refs/heads/main")
    assert git(rig.work, "log", "-1", "--format=%P|%T|%s", merged.sha) == (
        f"{base}|{reviewed.tree}|Fix it (#{pull.number})"
    )
    after = rig.forge.pull(REPO, pull.number)
    assert after is not None
    assert (after.state, after.merged_sha, after.head_sha) == (PullState.MERGED, merged.sha, pull.head_sha)
    assert rig.tip("work") is None


def _from(rig: Rig) -> tuple[str, ...]:
    remote = rig.forge.remote(REPO)
    return (remote.url.replace("://", f"://{remote.username}:{remote.password}@"),)


def test_merging_again_gives_the_same_commit(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    first = rig.forge.merge(reviewed, "Fix it", "")
    assert isinstance(first, Merged)
    assert rig.forge.merge(reviewed, "Other words", "") == first


def test_a_moved_head_is_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    git(rig.work, "commit", "--quiet", "--amend", "-m", "the same files in another commit")
    rig.push("work")
    before = rig.tip("main")
    assert isinstance(rig.forge.merge(reviewed, "Fix it", ""), MergeRefused)
    assert rig.tip("main") == before


def test_a_moved_base_is_not_merged_onto(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    moved = rig.main()
    assert isinstance(rig.forge.merge(reviewed, "Fix it", ""), MergeRefused)
    assert rig.tip("main") == moved


def test_a_conflict_is_shown_and_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    rig.main(a="changed elsewhere\n")
    pull = rig.forge.open_pull(draft())
    assert pull.mergeable is False
    assert isinstance(rig.forge.merge(rig.reviewed(pull), "Fix it", ""), MergeRefused)


def test_a_pull_request_nobody_opened_is_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    assert isinstance(rig.forge.merge(replace(reviewed, pull=9999), "Fix it", ""), MergeRefused)


def test_a_head_merged_earlier_is_not_merged_as_another(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    rig.forge.merge(reviewed, "Fix it", "")
    other = replace(reviewed, head_sha=reviewed.base_sha)
    assert isinstance(rig.forge.merge(other, "Fix it", ""), MergeRefused)


def test_the_branch_of_a_merged_pull_request_may_have_another(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    first = rig.forge.open_pull(draft())
    rig.forge.merge(rig.reviewed(first), "Fix it", "")
    rig.branch("work", b="changed too\n")
    second = rig.forge.open_pull(draft())
    assert second.number != first.number


def test_a_tree_that_was_not_judged_is_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    assert isinstance(rig.forge.merge(replace(reviewed, tree="0" * 40), "Fix it", ""), MergeRefused)


def test_a_merge_says_that_it_is_as_judged(rig: Rig) -> None:
    merged = rig.forge.merge(rig.reviewed(rig.opened()), "Fix it", "")
    assert isinstance(merged, Merged)
    assert merged.as_judged


def test_a_draft_is_made_ready_and_merged(rig: Rig) -> None:
    pull = rig.opened(is_draft=True)
    assert isinstance(rig.forge.merge(rig.reviewed(pull), "Fix it", ""), Merged)
    after = rig.forge.pull(REPO, pull.number)
    assert after is not None
    assert (after.state, after.draft) == (PullState.MERGED, False)


def test_a_head_branch_that_moved_on_after_the_merge_stays(rig: Rig) -> None:
    reviewed = rig.reviewed(rig.opened())
    first = rig.forge.merge(reviewed, "Fix it", "")
    assert rig.tip("work") is None
    moved = rig.branch("work", b="more\n")
    assert rig.forge.merge(reviewed, "Fix it", "") == first
    assert rig.tip("work") == moved
