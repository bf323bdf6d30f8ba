"""The few things that GitHub does over GraphQL only: drafts, and threads that are resolved."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.github.answers import Answer, Refused
from tests.fakes.github.auth import Kind, demand, sees
from tests.fakes.github.pull_routes import NO_DRAFTS
from tests.fakes.github.pull_rules import follow
from tests.fakes.github.state import Call
from tests.fakes.github.world import LineComment, Pull, Repo

_MUTATION = re.compile(
    r"mutation\b[^{]*\{\s*(markPullRequestReadyForReview|convertPullRequestToDraft|resolveReviewThread)\b"
)
_NODE = re.compile(r"query\b[^{]*\{\s*node\b")


def answered(call: Call) -> Answer:
    """The whole of what is known of the thing asked for, whatever fields were selected."""
    query = str(call.body.get("query") or "")
    given = call.body.get("variables") or {}
    mutation = _MUTATION.search(query)
    if mutation is not None:
        asked: dict[str, Any] = given.get("input") or {}
        done = _done(call, mutation[1], asked)
        if isinstance(done, Answer):
            return done
        return Answer(body={"data": {mutation[1]: {"clientMutationId": asked.get("clientMutationId"), **done}}})
    if _NODE.search(query):
        found = _pull(call, str(given.get("id")))
        if found is None:
            return _error("NOT_FOUND", f"Could not resolve to a node with the global id of '{given.get('id')}'")
        return Answer(body={"data": {"node": _node(*found)}})
    return _error("UNSUPPORTED", "The double answers only a few queries; see its README.")


def _done(call: Call, name: str, asked: dict[str, Any]) -> dict[str, Any] | Answer:
    if name == "resolveReviewThread":
        return _resolved(call, str(asked.get("threadId")))
    found = _pull(call, str(asked.get("pullRequestId")))
    if found is None:
        return _error("NOT_FOUND", f"Could not resolve to a node with the global id of '{asked.get('pullRequestId')}'")
    repo, pull = found
    if not _may(call, repo):
        return _error("FORBIDDEN", f"{call.login} does not have permission to change this pull request")
    if pull.issue.state != "open":
        return _error("UNPROCESSABLE", "Pull request is closed")
    if name == "convertPullRequestToDraft" and not repo.allow_drafts:
        return _error("UNPROCESSABLE", NO_DRAFTS)
    pull.draft = name == "convertPullRequestToDraft"
    pull.issue.updated = call.now
    action = "converted_to_draft" if pull.draft else "ready_for_review"
    call.state.tell("pull_request", action, repo, number=pull.issue.number)
    return {"pullRequest": {"id": f"PR_{pull.id}", "isDraft": pull.draft}}


def _may(call: Call, repo: Repo) -> bool:
    try:
        demand(call.token, repo, "pull_requests:write")
    except Refused:
        return False
    return call.token.kind is Kind.INSTALLATION or repo.allows(call.login, "write")


def _pull(call: Call, node: str) -> tuple[Repo, Pull] | None:
    for repo in call.world.repos.values():
        for pull in repo.pulls.values():
            if f"PR_{pull.id}" == node and sees(call.token, repo):
                follow(call.state, call.world, repo, pull)
                return repo, pull
    return None


def _node(repo: Repo, pull: Pull) -> dict[str, Any]:
    lines = [one for one in repo.line_comments.values() if one.number == pull.issue.number]
    threads = [_thread(one, lines) for one in lines if one.reply_to is None]
    return {
        "__typename": "PullRequest",
        "id": f"PR_{pull.id}",
        "number": pull.issue.number,
        "isDraft": pull.draft,
        "reviewThreads": {"nodes": threads, "totalCount": len(threads), "pageInfo": _NO_MORE},
    }


_NO_MORE = {"hasNextPage": False, "endCursor": None}


def _thread(first: LineComment, lines: list[LineComment]) -> dict[str, Any]:
    said = [one for one in lines if first.id in {one.id, one.reply_to}]
    nodes = [{"databaseId": one.id, "body": one.body, "author": {"login": one.user}} for one in said]
    return {
        "id": f"PRRT_{first.id}",
        "isResolved": first.resolved,
        "path": first.path,
        "line": first.line,
        "comments": {"nodes": nodes, "totalCount": len(nodes), "pageInfo": _NO_MORE},
    }


def _resolved(call: Call, thread: str) -> dict[str, Any] | Answer:
    for repo in call.world.repos.values():
        for one in repo.line_comments.values():
            if f"PRRT_{one.id}" == thread and sees(call.token, repo) and _may(call, repo):
                one.resolved = True
                return {"thread": {"id": thread, "isResolved": True}}
    return _error("NOT_FOUND", f"Could not resolve to a node with the global id of '{thread}'")


def _error(kind: str, message: str) -> Answer:
    return Answer(body={"data": None, "errors": [{"type": kind, "message": message}]})
