"""Git's smart HTTP, by `git http-backend`, for whoever the token says."""

from __future__ import annotations

import re
import subprocess
from urllib.parse import parse_qs

from tests.fakes.github.answers import Answer, Refused
from tests.fakes.github.auth import Kind, Token, credential, demand, identified, sees
from tests.fakes.github.dispatch import Raw
from tests.fakes.github.git import ENVIRONMENT
from tests.fakes.github.state import Asked, State
from tests.fakes.github.world import Repo

TARGET = re.compile(r"/(?P<full>[\w.-]+/[\w.-]+?)(?:\.git)?/(?P<what>info/refs|git-upload-pack|git-receive-pack)")
_TIMEOUT_S = 120
_PLAIN = "text/plain; charset=utf-8"


def served(state: State, origin: str, raw: Raw) -> Answer:
    """The answer to one of git's requests."""
    found = TARGET.fullmatch(raw.path)
    if found is None:
        return Answer(status=404, raw=b"Not Found", content_type=_PLAIN)
    service = parse_qs(raw.query).get("service", [""])[0] if found["what"] == "info/refs" else found["what"]
    with state.lock:
        try:
            token = identified(
                credential(raw.headers.get("authorization", "")), state.tokens, state.world, state.clock.now()
            )
            answer = _admitted(state, origin, raw, found, token, writing=service == "git-receive-pack")
        except Refused as refusal:
            token = None
            answer = _said(refusal)
        if isinstance(answer, Repo):
            repo, before = answer, state.git.refs(answer.id)
            answer = _backend(state, repo, raw, found["what"], token)
            _tell(state, repo, before)
        state.log.append(
            Asked(
                method=raw.method,
                path=raw.path,
                query=raw.query,
                status=answer.status,
                conditional=False,
                token="" if token is None else token.label,
                landed=answer.status < 400,
            )
        )
        return answer


def _admitted(
    state: State, origin: str, raw: Raw, found: re.Match[str], token: Token, *, writing: bool
) -> Repo | Answer:
    repo = state.world.repo(found["full"])
    if repo is None and (moved := state.world.moved_to(found["full"])) is not None and sees(token, moved):
        query = f"?{raw.query}" if raw.query else ""
        return Answer(status=301, headers={"Location": f"{origin}/{moved.full_name}.git/{found['what']}{query}"})
    if repo is None or not sees(token, repo):
        if token.kind is Kind.NOBODY:
            raise Refused(401, "Authentication required")
        raise Refused(404, "Repository not found.")
    if writing and token.kind is Kind.NOBODY:
        raise Refused(401, "Authentication required")
    try:
        demand(token, repo, "contents:write" if writing else "contents:read")
    except Refused:
        raise Refused(403, f"Permission to {repo.full_name}.git denied to {token.login or token.app}.") from None
    if writing and repo.archived:
        raise Refused(403, "This repository was archived so it is read-only.")
    return repo


def _said(refusal: Refused) -> Answer:
    status = refusal.answer.status
    headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if status == 401 else {}
    return Answer(status=status, raw=f"{refusal}\n".encode(), headers=headers, content_type=_PLAIN)


def _backend(state: State, repo: Repo, raw: Raw, what: str, token: Token | None) -> Answer:
    environment = ENVIRONMENT | {
        "GIT_PROJECT_ROOT": str(state.git.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repo.id}.git/{what}",
        "QUERY_STRING": raw.query,
        "REQUEST_METHOD": raw.method,
        "REMOTE_USER": "nobody" if token is None else token.label or "nobody",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": raw.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(raw.body)),
        "HTTP_CONTENT_ENCODING": raw.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": raw.headers.get("git-protocol", ""),
    }
    done = subprocess.run(
        ["git", "http-backend"], env=environment, input=raw.body, capture_output=True, timeout=_TIMEOUT_S, check=False
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200 OK").split()[0])
    kind = headers.pop("Content-Type", _PLAIN)
    return Answer(status=status, raw=body, headers=headers, content_type=kind)


def _tell(state: State, repo: Repo, before: dict[str, str]) -> None:
    after = state.git.refs(repo.id)
    for ref in sorted(before.keys() | after.keys()):
        if before.get(ref) != after.get(ref):
            state.tell("push", None, repo, ref=ref, before=before.get(ref), after=after.get(ref))
