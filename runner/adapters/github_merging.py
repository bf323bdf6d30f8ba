"""How a pull request is merged on GitHub: exactly the head that was reviewed, and the outcome compared with it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from gates.text import clean
from runner.adapters.github_faults import Declined, Missing
from runner.adapters.github_house import GithubHouse, Repository
from runner.adapters.github_pulls import found, ready, tip
from runner.errors import NotPossible
from runner.model import Merged, MergeRefused, ReviewedHead

Json = dict[str, Any]
_NO: Final = frozenset({403, 405, 409, 422})


def merge(house: GithubHouse, repo: Repository, reviewed: ReviewedHead, title: str, body: str) -> Merged | MergeRefused:
    """See `Forge.merge`.

    GitHub pins the head but not the base: the base is compared before, the merged files afterwards.
    """
    told = found(house, repo, reviewed.pull)
    if told is None:
        return MergeRefused(reason=f"{repo.asked} has no pull request {reviewed.pull}; look at its list.")
    if (done := _done(house, repo, told, reviewed)) is not None:
        return done
    if (against := _against(house, repo, told, reviewed)) is not None:
        return MergeRefused(reason=against)
    if told.get("draft"):
        try:
            ready(house, repo, reviewed.pull, ())
        except NotPossible as exc:
            return MergeRefused(reason=str(exc))
    request = {
        "sha": reviewed.head_sha,
        "merge_method": "squash",
        "commit_title": f"{title} (#{reviewed.pull})",
        "commit_message": body,
    }

    def look() -> Merged | MergeRefused | None:
        now = found(house, repo, reviewed.pull)
        return None if now is None else _done(house, repo, now, reviewed)

    def tell() -> Merged | MergeRefused:
        try:
            sha = str(house.send(repo, "PUT", f"/pulls/{reviewed.pull}/merge", request).data["sha"])
        except (Missing, Declined) as exc:
            if isinstance(exc, Declined) and exc.status not in _NO:
                raise
            # A merge whose answer was lost may be behind the refusal.
            said = exc.said if isinstance(exc, Declined) else "there is nothing to merge"
            return look() or MergeRefused(reason=f"GitHub does not merge it: {clean(said, 250)}.")
        return _ended(house, repo, told, reviewed, sha)

    return house.client.once(look, tell)


def _done(house: GithubHouse, repo: Repository, told: Json, reviewed: ReviewedHead) -> Merged | MergeRefused | None:
    """The outcome of a pull request that is not open any more; None: it is open."""
    if told.get("merged_at"):
        if told["head"]["sha"] == reviewed.head_sha:
            return _ended(house, repo, told, reviewed, str(told["merge_commit_sha"]))
        return MergeRefused(reason="The pull request was merged with another head; look at it on GitHub.")
    if told["state"] != "open":
        return MergeRefused(reason="The pull request is closed; reopen it on GitHub, or dispatch the ticket again.")
    return None


def _against(house: GithubHouse, repo: Repository, told: Json, reviewed: ReviewedHead) -> str | None:
    base = str(told["base"]["ref"])
    if told["head"]["sha"] != reviewed.head_sha:
        return "The head moved after it was judged; look at status and promote again."
    if tip(house, repo, base) != reviewed.base_sha:
        return f"{clean(base, 100)} moved after the judgement; promote again to judge anew."
    if told.get("mergeable") is False:
        return f"The branch conflicts with {clean(base, 100)}; ask for changes."
    trial = told.get("merge_commit_sha")
    commit = house.find(repo, f"/git/commits/{trial}") if trial else None
    if commit is None or [one["sha"] for one in commit["parents"]] != [reviewed.base_sha, reviewed.head_sha]:
        # GitHub has not tried this very merge; what comes of it is compared afterwards.
        return None
    if commit["tree"]["sha"] != reviewed.tree:
        return "The merged files are not the ones that were judged; promote again."
    return None


def _ended(house: GithubHouse, repo: Repository, told: Json, reviewed: ReviewedHead, sha: str) -> Merged:
    """The merge as it came out, and the head branch gone unless it moved on."""
    commit = house.get(repo, f"/git/commits/{sha}")
    branch = str(told["head"]["ref"])
    drop(house, repo, branch, reviewed.head_sha)
    return Merged(sha=sha, as_judged=commit["tree"]["sha"] == reviewed.tree)


def drop(house: GithubHouse, repo: Repository, branch: str, sha: str) -> None:
    """The branch is gone if it is at that commit. One that may not be deleted stays: the merge counts all the same."""

    def look() -> bool | None:
        return None if tip(house, repo, branch) == sha else True

    def tell() -> bool:
        try:
            house.send(repo, "DELETE", f"/git/refs/heads/{quote(branch)}")
        except (Missing, Declined):
            return True
        return True

    house.client.once(look, tell)
