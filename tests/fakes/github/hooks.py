"""Webhooks as GitHub sends them: JSON, signed over its bytes."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from typing import Any

import httpx

from tests.fakes.github import render, render_checks
from tests.fakes.github.render import Json, Links
from tests.fakes.github.state import Event, State
from tests.fakes.github.world import Repo

_TIMEOUT_S = 10.0


def delivered(state: State, links: Links, url: str, secret: str) -> tuple[tuple[str, int], ...]:
    """Post what is waiting; the name of every event and the status it was answered with."""
    with state.lock:
        waiting = [(one.name, payload(state, links, one)) for one in state.events]
        state.events.clear()
    answers = []
    with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
        for name, body in waiting:
            answers.append((name, client.post(url, content=body, headers=headers(name, body, secret)).status_code))
    return tuple(answers)


def headers(name: str, body: bytes, secret: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/double",
        "X-GitHub-Event": name,
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }


def payload(state: State, links: Links, event: Event) -> bytes:
    """The event's body: what happened, and the things that it happened to as they are now."""
    repo = state.world.repos[event.repo]
    body: Json = {} if event.action is None else {"action": event.action}
    body |= {"repository": render.repo(links, state.world, repo, short=True)}
    body |= {"sender": render.user(links, state.world, repo.owner)}
    return json.dumps(body | _things(state, links, repo, event.payload)).encode()


def _things(state: State, links: Links, repo: Repo, given: dict[str, Any]) -> Json:
    things: Json = {}
    for key, value in given.items():
        match key:
            case "number" if value in repo.pulls:
                things["pull_request"] = render.pull(links, state.world, repo, repo.pulls[value])
            case "number" if value in repo.issues:
                things["issue"] = render.issue(links, state.world, repo, repo.issues[value])
            case "comment" if value in repo.comments:
                things["comment"] = render.comment(links, state.world, repo, repo.comments[value])
            case "line_comment" if value in repo.line_comments:
                things["comment"] = render.line_comment(links, state.world, repo, repo.line_comments[value])
            case "review" if value in repo.reviews:
                things["review"] = render.review(links, state.world, repo, repo.reviews[value])
            case "check" if value in repo.checks:
                things["check_run"] = render_checks.check(links, state.world, repo, repo.checks[value])
            case "suite" if value in repo.suites:
                things["check_suite"] = render_checks.suite(links, state.world, repo, repo.suites[value])
            case _:
                things[key] = value
    return things
