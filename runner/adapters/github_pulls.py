"""Pull requests on GitHub: found, opened, labelled, made ready."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from gates.text import clean
from runner.adapters.github_faults import Declined, Missing
from runner.adapters.github_house import GithubHouse, Repository
from runner.errors import NotPossible
from runner.model import Pull, PullDraft, PullState

Json = dict[str, Any]
_OURS: Final = "ashigaru"
_COLOUR: Final = "c5def5"


def ref_path(branch: str) -> str:
    """Where a branch's ref is read."""
    return f"/git/ref/heads/{quote(branch)}"


def found(house: GithubHouse, repo: Repository, number: int) -> Json | None:
    """The pull request as GitHub tells it; None where there is none, or its head is in another repository."""
    told: Json | None = house.find(repo, f"/pulls/{number}")
    if told is None:
        return None
    head, base = told["head"]["repo"], told["base"]["repo"]
    return told if head is not None and head["id"] == base["id"] else None


def demanded(house: GithubHouse, repo: Repository, number: int) -> Json:
    """The pull request. Raises NotPossible where there is none of ours."""
    # Whoever gives a number has seen it: where it is not there, the answer may be from before it was opened.
    told = house.client.awaited(lambda: found(house, repo, number))
    if told is None:
        raise NotPossible(f"{repo.asked} has no pull request {number}; look at its list.")
    return told


def tip(house: GithubHouse, repo: Repository, branch: str) -> str | None:
    """The commit that a branch is at, or None."""
    told = house.find(repo, ref_path(branch))
    return None if told is None else str(told["object"]["sha"])


def value(house: GithubHouse, repo: Repository, told: Json) -> Pull:
    """The pull request as the runner's value. What GitHub says of its base is as old as its last push; the branch is
    asked instead.
    """
    state = _state(told)
    base = str(told["base"]["ref"])
    base_sha = tip(house, repo, base) if state is PullState.OPEN else None
    return Pull(
        repo=repo.asked,
        number=int(told["number"]),
        url=str(told["html_url"]),
        title=str(told["title"]),
        body=str(told["body"] or ""),
        state=state,
        draft=bool(told.get("draft")),
        head_branch=str(told["head"]["ref"]),
        head_sha=str(told["head"]["sha"]),
        base_branch=base,
        base_sha=base_sha or str(told["base"]["sha"]),
        mergeable=told.get("mergeable"),
        merged_sha=str(told["merge_commit_sha"]) if state is PullState.MERGED else None,
    )


def _state(told: Json) -> PullState:
    if told.get("merged_at"):
        return PullState.MERGED
    return PullState.OPEN if told["state"] == "open" else PullState.CLOSED


def opened(house: GithubHouse, repo: Repository, draft: PullDraft) -> Pull:
    """See `Forge.open_pull`."""
    if draft.head_branch == draft.base_branch:
        raise NotPossible("A pull request needs two branches; push the work to one of its own.")
    listed = house.client.once(
        lambda: newest_of(house, repo, draft.head_branch, state="open"), lambda: _create(house, repo, draft)
    )
    number = int(listed["number"])
    told = demanded(house, repo, number)
    wanted = {"title": draft.title, "body": draft.body, "base": draft.base_branch}
    have = {"title": told["title"], "body": told["body"] or "", "base": told["base"]["ref"]}
    if wanted != have:
        changed = {key: text for key, text in wanted.items() if have[key] != text}
        # The same words again are no second deed.
        house.client.once(lambda: None, lambda: house.send(repo, "PATCH", f"/pulls/{number}", changed))
    label(house, repo, told, draft.labels)
    if bool(told.get("draft")) != draft.draft:
        _turn(house, repo, number, draft=draft.draft)
    return value(house, repo, demanded(house, repo, number))


def newest_of(house: GithubHouse, repo: Repository, branch: str, *, state: str) -> Json | None:
    """The newest pull request from that branch of the repository itself; state: "open", or "all"."""
    listed = house.pages(repo, "/pulls", head=f"{repo.owner}:{branch}", state=state)
    mine = (one for one in listed if one["head"]["ref"] == branch and one["head"]["repo"] is not None)
    return next((one for one in mine if one["head"]["repo"]["id"] == one["base"]["repo"]["id"]), None)


def _create(house: GithubHouse, repo: Repository, draft: PullDraft) -> Json:
    body = {"title": draft.title, "body": draft.body, "head": draft.head_branch, "base": draft.base_branch}
    try:
        return _created(house, repo, {**body, "draft": draft.draft})
    except Declined as exc:
        if exc.status == 422 and draft.draft and "draft" in exc.said.lower():
            # Drafts are no part of every plan; the labels say what the draft would have said.
            try:
                return _created(house, repo, {**body, "draft": False})
            except Declined as again:
                exc = again
        if exc.status == 422 and "already exists" in exc.said.lower():
            there = newest_of(house, repo, draft.head_branch, state="open")
            if there is not None:
                return there
        if exc.status == 422:
            raise NotPossible(f"GitHub opens no pull request: {exc.said}; push both branches first.") from exc
        raise


def _created(house: GithubHouse, repo: Repository, body: Json) -> Json:
    made: Json = house.send(repo, "POST", "/pulls", body).data
    return made


def label(house: GithubHouse, repo: Repository, told: Json, wanted: tuple[str, ...]) -> None:
    """Of the labels that begin with ours the pull request has these and no others."""
    have = {str(one["name"]) for one in told["labels"]}
    number = int(told["number"])
    unlabel(house, repo, number, sorted(name for name in have if name.startswith(_OURS) and name not in wanted))
    lacking = [name for name in wanted if name not in have]
    for name in lacking:
        _know_label(house, repo, name)
    if lacking:
        # Labels are a set: adding one again changes nothing.
        below = f"/issues/{number}/labels"
        house.client.once(lambda: None, lambda: house.send(repo, "POST", below, {"labels": lacking}))


def unlabel(house: GithubHouse, repo: Repository, number: int, names: list[str]) -> None:
    """The pull request has none of these labels."""

    def take(name: str) -> bool:
        try:
            house.send(repo, "DELETE", f"/issues/{number}/labels/{quote(name, safe='')}")
        except Missing:
            return True
        return True

    for name in names:
        house.client.once(lambda: None, lambda name=name: take(name))  # type: ignore[misc]


def _know_label(house: GithubHouse, repo: Repository, name: str) -> None:
    def make() -> bool:
        body = {"name": name, "color": _COLOUR, "description": "Set by mcp-ashigaru"}
        try:
            house.send(repo, "POST", "/labels", body)
        except Declined as exc:
            if exc.status != 422:
                raise
        return True

    there = f"/labels/{quote(name, safe='')}"
    house.client.once(lambda: None if house.find(repo, there) is None else True, make)


def ready(house: GithubHouse, repo: Repository, number: int, drop_labels: tuple[str, ...]) -> None:
    """See `Forge.ready`."""
    told = demanded(house, repo, number)
    have = {str(one["name"]) for one in told["labels"]}
    unlabel(house, repo, number, sorted(have & set(drop_labels)))
    if told.get("draft") and told["state"] == "open":
        _turn(house, repo, number, draft=False)


def _turn(house: GithubHouse, repo: Repository, number: int, *, draft: bool) -> None:
    """Make it a draft, or no draft. Where a repository has no drafts it stays what it is."""

    def look() -> Json | None:
        told = demanded(house, repo, number)
        return told if bool(told.get("draft")) is draft else None

    def turn() -> Json:
        told = demanded(house, repo, number)
        name = "convertPullRequestToDraft" if draft else "markPullRequestReadyForReview"
        try:
            house.mutate(repo, name, str(told["node_id"]))
        except Declined as exc:
            if not draft:
                raise NotPossible(f"GitHub does not make it ready: {clean(exc.said, 200)}; do it there.") from exc
        return told

    house.client.once(look, turn)
