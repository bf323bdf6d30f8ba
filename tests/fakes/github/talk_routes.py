"""What people say over REST: issues, labels, comments, reviews and their lines."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from tests.fakes.github import render
from tests.fakes.github.answers import Answer, Refused, invalid, not_found, paged
from tests.fakes.github.auth import Kind
from tests.fakes.github.clock import stamp
from tests.fakes.github.pull_routes import new_issue, the_pull
from tests.fakes.github.state import Call, State, Way, way
from tests.fakes.github.world import Comment, Issue, LineComment, Repo, Review

MAX_BODY = 65536
_STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def _issue(call: Call, repo: Repo) -> Issue:
    one = repo.issues.get(int(call.part["number"]))
    if one is None:
        raise not_found()
    return one


def _text(call: Call, resource: str) -> str:
    body = call.body.get("body")
    if not isinstance(body, str) or not body.strip():
        raise invalid(resource, "body can't be blank", "body")
    if len(body) > MAX_BODY:
        raise invalid(resource, "body is too long (maximum is 65536 characters)", "body")
    return body


def _since(call: Call, at: float) -> bool:
    return stamp(at) >= call.query.get("since", "")


def _need(repo: Repo, number: int, access: str) -> str:
    """A pull request's conversation may be had with either permission; the name that a refusal is about."""
    return f"{'pull_requests' if number in repo.pulls else 'issues'}:{access}"


def _open_to(call: Call, access: str) -> Repo:
    """The repository, for what is done to an issue or to a pull request."""
    repo = call.repo("metadata:read")
    number = int(call.part["number"]) if "number" in call.part else 0
    if call.token.permissions.get("issues", "none") in {access, "write"}:
        return call.repo(f"issues:{access}")
    return call.repo(_need(repo, number, access))


def issues(call: Call) -> Answer:
    repo = call.repo("issues:read")
    state = call.query.get("state", "open")
    found = [one for one in repo.issues.values() if state in {"all", one.state}]
    rows = [render.issue(call.links, call.world, repo, one) for one in reversed(found)]
    return paged(rows, call.query, call.url)


def issue_created(call: Call) -> Answer:
    repo = call.repo("issues:write")
    if not call.body.get("title"):
        raise invalid("Issue", "title can't be blank", "title")
    one = new_issue(
        call.state, repo, title=str(call.body["title"]), body=str(call.body.get("body") or ""), user=call.login
    )
    return Answer(status=201, body=render.issue(call.links, call.world, repo, one))


def issue(call: Call) -> Answer:
    repo = _open_to(call, "read")
    return Answer(body=render.issue(call.links, call.world, repo, _issue(call, repo)))


def labels(call: Call) -> Answer:
    """Read, added to, replaced, or taken away."""
    repo = _open_to(call, "read" if call.method == "GET" else "write")
    one = _issue(call, repo)
    if call.method != "GET":
        if call.token.kind is not Kind.INSTALLATION and not repo.allows(call.login, "triage"):
            raise Refused(403, "Resource not accessible")
        given = call.body.get("labels", [])
        names = [str(name) for name in given] if isinstance(given, list) else []
        for name in names:
            repo.labels.setdefault(name, call.world.new_id())
        if call.method in {"PUT", "DELETE"}:
            one.labels.clear()
        one.labels.extend(name for name in names if name not in one.labels)
        one.updated = call.now
    if call.method == "DELETE":
        return Answer(status=204)
    return paged([render.label(call.links, repo, name) for name in one.labels], call.query, call.url)


def label_dropped(call: Call) -> Answer:
    repo = _open_to(call, "write")
    one, name = _issue(call, repo), unquote(call.part["label"])
    if name not in one.labels:
        raise Refused(404, "Label does not exist")
    one.labels.remove(name)
    one.updated = call.now
    return Answer(body=[render.label(call.links, repo, kept) for kept in one.labels])


def comments(call: Call) -> Answer:
    repo = _open_to(call, "read")
    one = _issue(call, repo)
    found = [two for two in repo.comments.values() if two.number == one.number and _since(call, two.updated)]
    return paged([render.comment(call.links, call.world, repo, two) for two in found], call.query, call.url)


def commented(call: Call) -> Answer:
    repo = _open_to(call, "write")
    one = _issue(call, repo)
    if repo.archived:
        raise Refused(403, "Repository was archived so is read-only.")
    app = call.token.app
    made = add_comment(call.state, repo, one.number, call.login, _text(call, "IssueComment"), app=app)
    return Answer(status=201, body=render.comment(call.links, call.world, repo, made))


def add_comment(state: State, repo: Repo, number: int, user: str, body: str, *, app: str | None = None) -> Comment:
    now = state.clock.now()
    state.world.user(user)
    made = Comment(id=state.world.new_id(), number=number, user=user, body=body, at=now, updated=now, app=app)
    repo.comments[made.id] = made
    repo.issues[number].updated = now
    state.tell("issue_comment", "created", repo, number=number, comment=made.id)
    return made


def comment(call: Call) -> Answer:
    """One comment read, rewritten or deleted."""
    repo = call.repo("metadata:read")
    one = repo.comments.get(int(call.part["comment"]))
    if one is None:
        raise not_found()
    if call.method != "GET":
        call.repo(_need(repo, one.number, "write"))
        if one.user != call.login and not repo.allows(call.login, "write"):
            raise Refused(403, "Resource not accessible")
    if call.method == "DELETE":
        del repo.comments[one.id]
        return Answer(status=204)
    if call.method == "PATCH":
        one.body, one.updated = _text(call, "IssueComment"), call.now
        call.state.tell("issue_comment", "edited", repo, number=one.number, comment=one.id)
    return Answer(body=render.comment(call.links, call.world, repo, one))


def reviews(call: Call) -> Answer:
    repo = call.repo("pull_requests:read")
    number = the_pull(call, repo).issue.number
    found = [one for one in repo.reviews.values() if one.number == number]
    return paged([render.review(call.links, call.world, repo, one) for one in found], call.query, call.url)


def reviewed(call: Call) -> Answer:
    repo = call.repo("pull_requests:write")
    pull = the_pull(call, repo)
    event = str(call.body.get("event", "COMMENT"))
    if event not in _STATES:
        raise invalid("PullRequestReview", "event is invalid", "event")
    if event != "COMMENT" and pull.issue.user == call.login:
        word = "approve" if event == "APPROVE" else "request changes on"
        raise Refused(422, "Unprocessable Entity", errors=[f"Can not {word} your own pull request"])
    lines: list[dict[str, Any]] = call.body.get("comments") or []
    if event != "APPROVE" and not call.body.get("body") and not lines:
        raise invalid("PullRequestReview", "body can't be blank", "body")
    commit = str(call.body.get("commit_id") or pull.head_sha)
    body = str(call.body.get("body") or "")
    made = add_review(call.state, repo, pull.issue.number, call.login, _STATES[event], body, commit)
    for one in lines:
        where = {"path": str(one.get("path")), "line": int(one.get("line") or one.get("position") or 1)}
        add_line(call.state, repo, pull.issue.number, call.login, str(one.get("body")), commit, review=made.id, **where)
    return Answer(body=render.review(call.links, call.world, repo, made))


def add_review(state: State, repo: Repo, number: int, user: str, word: str, body: str, commit: str) -> Review:
    state.world.user(user)
    now = state.clock.now()
    made = Review(id=state.world.new_id(), number=number, user=user, body=body, state=word, commit=commit, at=now)
    repo.reviews[made.id] = made
    state.tell("pull_request_review", "submitted", repo, number=number, review=made.id)
    return made


def add_line(
    state: State,
    repo: Repo,
    number: int,
    user: str,
    body: str,
    commit: str,
    *,
    path: str,
    line: int | None,
    side: str = "RIGHT",
    review: int | None = None,
    reply_to: int | None = None,
) -> LineComment:
    """A comment on a line. As on GitHub, one that comes alone brings a review without words with it."""
    if review is None:
        review = add_review(state, repo, number, user, "COMMENTED", "", commit).id
    now = state.clock.now()
    made = LineComment(
        id=state.world.new_id(),
        number=number,
        user=user,
        body=body,
        path=path,
        line=line,
        side=side,
        commit=commit,
        review=review,
        at=now,
        updated=now,
        reply_to=reply_to,
        hunk=f"@@ -{line or 1} +{line or 1} @@",
    )
    repo.line_comments[made.id] = made
    state.tell("pull_request_review_comment", "created", repo, number=number, line_comment=made.id)
    return made


def lines(call: Call) -> Answer:
    repo = call.repo("pull_requests:read")
    number = the_pull(call, repo).issue.number
    review = call.part.get("review")
    found = [
        one
        for one in repo.line_comments.values()
        if one.number == number and _since(call, one.updated) and review in {None, str(one.review)}
    ]
    return paged([render.line_comment(call.links, call.world, repo, one) for one in found], call.query, call.url)


def line_created(call: Call) -> Answer:
    """A new thread, or with in_reply_to (or by its own address) a reply: to a reply it joins the thread's first."""
    repo = call.repo("pull_requests:write")
    pull = the_pull(call, repo)
    body = _text(call, "PullRequestReviewComment")
    answered = call.part.get("comment") or call.body.get("in_reply_to")
    if answered is None:
        where = {"path": str(call.body.get("path")), "line": int(call.body.get("line") or 1)}
        commit, side = str(call.body.get("commit_id")), str(call.body.get("side", "RIGHT"))
        made = add_line(call.state, repo, pull.issue.number, call.login, body, commit, side=side, **where)
    else:
        made = reply(call.state, repo, int(answered), call.login, body)
    return Answer(status=201, body=render.line_comment(call.links, call.world, repo, made))


def reply(state: State, repo: Repo, to: int, user: str, body: str) -> LineComment:
    first = repo.line_comments.get(to)
    if first is None:
        raise not_found()
    thread = first if first.reply_to is None else repo.line_comments.get(first.reply_to, first)
    return add_line(
        state,
        repo,
        first.number,
        user,
        body,
        thread.commit,
        path=thread.path,
        line=thread.line,
        side=thread.side,
        reply_to=thread.id,
    )


def line(call: Call) -> Answer:
    repo = call.repo("pull_requests:read")
    one = repo.line_comments.get(int(call.part["comment"]))
    if one is None:
        raise not_found()
    return Answer(body=render.line_comment(call.links, call.world, repo, one))


def nobody_asked(call: Call) -> Answer:
    call.repo("pull_requests:read")
    return Answer(body={"users": [], "teams": []})


WAYS: tuple[Way, ...] = (
    way("GET", "~/issues", issues),
    way("POST", "~/issues", issue_created),
    way("GET", "~/issues/<n:number>", issue),
    *(way(method, "~/issues/<n:number>/labels", labels) for method in ("GET", "POST", "PUT", "DELETE")),
    way("DELETE", "~/issues/<n:number>/labels/<label>", label_dropped),
    way("GET", "~/issues/<n:number>/comments", comments),
    way("POST", "~/issues/<n:number>/comments", commented),
    *(way(method, "~/issues/comments/<n:comment>", comment) for method in ("GET", "PATCH", "DELETE")),
    way("GET", "~/pulls/<n:number>/reviews", reviews),
    way("POST", "~/pulls/<n:number>/reviews", reviewed),
    way("GET", "~/pulls/<n:number>/reviews/<n:review>/comments", lines),
    way("GET", "~/pulls/<n:number>/comments", lines),
    way("POST", "~/pulls/<n:number>/comments", line_created),
    way("POST", "~/pulls/<n:number>/comments/<n:comment>/replies", line_created),
    way("GET", "~/pulls/comments/<n:comment>", line),
    way("GET", "~/pulls/<n:number>/requested_reviewers", nobody_asked),
)
