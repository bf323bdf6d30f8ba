"""What was said is kept and told: comments, reviews, lines and their threads."""

from __future__ import annotations

from tests.fakes.github.answers import not_found
from tests.fakes.github.state import State
from tests.fakes.github.world import Comment, LineComment, Repo, Review


def add_comment(state: State, repo: Repo, number: int, user: str, body: str, *, app: str | None = None) -> Comment:
    now = state.clock.now()
    state.world.user(user)
    made = Comment(id=state.world.new_id(), number=number, user=user, body=body, at=now, updated=now, app=app)
    repo.comments[made.id] = made
    repo.issues[number].updated = now
    state.tell("issue_comment", "created", repo, number=number, comment=made.id)
    return made


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
