"""How pull requests follow their branches, and what stands in the way of a merge."""

from __future__ import annotations

from tests.fakes.github.git import GitFailed
from tests.fakes.github.state import State
from tests.fakes.github.world import CheckRun, Protection, Pull, Repo, Status, World

_GREEN = {"success", "neutral", "skipped"}


def head_repo(world: World, pull: Pull) -> Repo | None:
    return None if pull.head_repo is None else world.repos.get(pull.head_repo)


def follow(state: State, world: World, repo: Repo, pull: Pull) -> None:
    """Bring an open pull request up to its branches: new head, new base, a deleted branch, a merge by push."""
    if pull.issue.state != "open" or repo.refs is not None:
        return
    now = state.clock.now()
    base = state.head(repo, pull.base_ref)
    source = head_repo(world, pull)
    head = None if source is None else state.head(source, pull.head_ref)
    if base is None or source is None or head is None:
        close(state, repo, pull)
        return
    if head != pull.head_sha:
        bring_head(state, repo, source, pull, head)
        outdate(state, repo, pull)
        pull.issue.updated = now
        state.tell("pull_request", "synchronize", repo, number=pull.issue.number)
    if base != pull.base_sha:
        pull.base_sha = base
        if state.git.is_ancestor(repo.id, pull.head_sha, base):
            pull.merged_at, pull.merge_commit_sha, pull.merged_by = now, pull.head_sha, repo.owner
            close(state, repo, pull)


def bring_head(state: State, repo: Repo, source: Repo, pull: Pull, head: str) -> None:
    """The head's commits are in the repository, under refs/pull/N/head."""
    state.git.bring(repo.id, source.id, f"refs/heads/{pull.head_ref}", f"refs/pull/{pull.issue.number}/head")
    pull.head_sha = head


def outdate(state: State, repo: Repo, pull: Pull) -> None:
    """Comments on lines of a file that is another at the new head have no line any more."""
    for one in repo.line_comments.values():
        if one.number == pull.issue.number and one.line is not None:
            old, new = (_blob(state, repo, sha, one.path) for sha in (one.commit, pull.head_sha))
            if old != new:
                one.line = None


def _blob(state: State, repo: Repo, sha: str, path: str) -> str | None:
    try:
        return state.git.run(repo.id, "rev-parse", "--verify", "--quiet", f"{sha}:{path}")
    except GitFailed:
        return None


def close(state: State, repo: Repo, pull: Pull) -> None:
    now = state.clock.now()
    pull.issue.state, pull.issue.closed_at, pull.issue.updated = "closed", now, now
    state.tell("pull_request", "closed", repo, number=pull.issue.number)


def weigh(state: State, repo: Repo, pull: Pull) -> bool:
    """Whether it merges without a conflict, worked out now."""
    tree = state.git.merged_tree(repo.id, pull.base_sha, pull.head_sha)
    clean = tree is not None
    if pull.merged_at is None:
        # GitHub tries the merge out; that commit is the open pull request's `merge_commit_sha`.
        parents, author = (pull.base_sha, pull.head_sha), ("GitHub", "noreply@github.com")
        trial = None if tree is None else state.git.commit(repo.id, tree, parents, "trial\n", author)
        pull.merge_commit_sha = trial
    pull.mergeable, pull.mergeable_of = clean, (pull.base_sha, pull.head_sha)
    return clean


def mergeable_state(state: State, repo: Repo, pull: Pull) -> str:
    """GitHub's word for how a merge would go."""
    if pull.issue.state != "open" or pull.mergeable is None:
        return "unknown"
    if not pull.mergeable:
        return "dirty"
    if pull.draft:
        return "draft"
    if any(one.strict for one in repo.rules_of(pull.base_ref)) and is_behind(state, repo, pull):
        return "behind"
    if obstacle(state, repo, pull) is not None:
        return "blocked"
    return "unstable" if _unhappy(repo, pull.head_sha) else "clean"


def is_behind(state: State, repo: Repo, pull: Pull) -> bool:
    return not state.git.is_ancestor(repo.id, pull.base_sha, pull.head_sha)


def obstacle(state: State, repo: Repo, pull: Pull) -> str | None:
    """What the branch's rules say against merging, in GitHub's words; None: nothing."""
    for one in repo.rules_of(pull.base_ref):
        found = _against(state, repo, pull, one)
        if found is not None:
            return found if one.ruleset is None else f"Repository rule violations found\n\n{found}\n\n"
    return None


def _against(state: State, repo: Repo, pull: Pull, rule: Protection) -> str | None:
    if rule.reviews is not None:
        verdicts = latest_reviews(repo, pull)
        if "CHANGES_REQUESTED" in verdicts.values():
            return "Changes have been requested."
        if sum(one == "APPROVED" for one in verdicts.values()) < rule.reviews:
            plural = "review is" if rule.reviews == 1 else "reviews are"
            return f"At least {rule.reviews} approving {plural} required by reviewers with write access."
    waiting = [(name, how) for name, app in rule.checks or () if (how := judged(state, repo, pull, name, app)) != "ok"]
    if len(waiting) > 1:
        return f"{len(waiting)} of {len(rule.checks or ())} required status checks are expected."
    if waiting:
        return f'Required status check "{waiting[0][0]}" is {waiting[0][1]}.'
    if rule.strict and is_behind(state, repo, pull):
        return "This branch must not be behind its base branch: required status checks must be up to date."
    return None


def judged(state: State, repo: Repo, pull: Pull, name: str, app: int | None) -> str:
    """How a required check stands on the head: "ok", "failing", "in progress" or "expected"."""
    with state.lock:
        run = latest_check(repo, pull.head_sha, name, None if app is None else _slug(state.world, app))
    if run is not None:
        if run.status != "completed":
            return "in progress"
        return "ok" if run.conclusion in _GREEN else "failing"
    status = latest_status(repo, pull.head_sha, name) if app is None else None
    if status is None:
        return "expected"
    return {"success": "ok", "pending": "in progress"}.get(status.state, "failing")


def _slug(world: World, app: int) -> str:
    return next((one.slug for one in world.apps.values() if one.id == app), "?")


def latest_check(repo: Repo, sha: str, name: str, slug: str | None) -> CheckRun | None:
    found = [one for one in repo.checks.values() if (one.sha, one.name) == (sha, name) and slug in {None, one.app}]
    return max(found, key=lambda one: one.id, default=None)


def latest_status(repo: Repo, sha: str, context: str) -> Status | None:
    found = [one for one in repo.statuses if (one.sha, one.context) == (sha, context)]
    return max(found, key=lambda one: one.id, default=None)


def latest_reviews(repo: Repo, pull: Pull) -> dict[str, str]:
    """The verdict of everybody with write access that gave one."""
    verdicts: dict[str, str] = {}
    for one in sorted(repo.reviews.values(), key=lambda one: one.id):
        counts = one.number == pull.issue.number and one.state in {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}
        if counts and repo.allows(one.user, "write") and one.user in {*repo.collaborators, repo.owner}:
            verdicts[one.user] = one.state
    return verdicts


def _unhappy(repo: Repo, sha: str) -> bool:
    names = {(one.app, one.name) for one in repo.checks.values() if one.sha == sha}
    runs = [latest_check(repo, sha, name, app) for app, name in names]
    return any(one is not None and one.conclusion not in _GREEN for one in runs) or any(
        (found := latest_status(repo, sha, one.context)) is not None and found.state != "success"
        for one in repo.statuses
        if one.sha == sha
    )


def squash(state: State, repo: Repo, pull: Pull, message: str, method: str) -> str | None:
    """The merge made with real git and the base branch moved to it; None on a conflict."""
    tree = state.git.merged_tree(repo.id, pull.base_sha, pull.head_sha)
    if tree is None:
        return None
    parents = (pull.base_sha,) if method == "squash" else (pull.base_sha, pull.head_sha)
    author = pull.issue.user
    address = f"{state.world.user(author).id}+{author}@users.noreply.github.com"
    made = state.git.commit(repo.id, tree, parents, message, (author, address))
    try:
        state.git.set_ref(repo.id, f"refs/heads/{pull.base_ref}", made, old=pull.base_sha)
    except GitFailed:
        return None
    return made
