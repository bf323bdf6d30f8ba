"""Commit statuses over REST, and which commit an address names."""

from __future__ import annotations

from urllib.parse import unquote

from tests.fakes.github import render_checks
from tests.fakes.github.answers import Answer, Refused, invalid, paged
from tests.fakes.github.state import Call, Way, way
from tests.fakes.github.world import Repo, Status


def commit_of(call: Call, repo: Repo) -> str:
    """The commit that the address names, by id, branch or tag."""
    ref = unquote(call.part["ref"])
    sha = call.state.git.resolve(repo.id, ref)
    if sha is None:
        raise Refused(422, f"No commit found for SHA: {ref}")
    return sha


def statuses(call: Call) -> Answer:
    repo = call.repo("statuses:read")
    sha = commit_of(call, repo)
    found = [one for one in reversed(repo.statuses) if one.sha == sha]
    rows = [render_checks.status(call.links, call.world, repo, one) for one in found]
    return paged(rows, call.query, call.url)


def combined(call: Call) -> Answer:
    """The latest of every context; failure before pending before success, pending where there is none."""
    repo = call.repo("statuses:read")
    sha = commit_of(call, repo)
    latest = {one.context: one for one in repo.statuses if one.sha == sha}
    states = {one.state for one in latest.values()}
    word = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    rows = [render_checks.status(call.links, call.world, repo, one, creator=False) for one in latest.values()]
    body = paged(rows, call.query, call.url, "statuses")
    body.body |= {"state": word, "sha": sha, "url": call.url, "commit_url": f"{call.links.of(repo)}/commits/{sha}"}
    return body


def status_created(call: Call) -> Answer:
    repo = call.repo("statuses:write")
    sha = commit_of(call, repo)
    word = str(call.body.get("state"))
    if word not in {"error", "failure", "pending", "success"}:
        raise invalid("Status", "state is not included in the list", "state")
    description = call.body.get("description")
    if len(str(description or "")) > 140:
        raise invalid("Status", "description is too long (maximum is 140 characters)", "description")
    one = Status(
        id=call.world.new_id(),
        sha=sha,
        context=str(call.body.get("context") or "default"),
        state=word,
        description=None if description is None else str(description),
        target_url=call.body.get("target_url"),
        creator=call.login,
        at=call.now,
    )
    repo.statuses.append(one)
    call.state.tell("status", None, repo, sha=sha, context=one.context, state=word)
    return Answer(status=201, body=render_checks.status(call.links, call.world, repo, one))


WAYS: tuple[Way, ...] = (
    way("GET", "~/commits/<rest:ref>/statuses", statuses),
    way("GET", "~/statuses/<rest:ref>", statuses),
    way("GET", "~/commits/<rest:ref>/status", combined),
    way("POST", "~/statuses/<ref>", status_created),
)
