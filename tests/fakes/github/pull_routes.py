"""Pull requests over REST: list, open, read, change, merge."""

from __future__ import annotations

from tests.fakes.github import pull_rules, render
from tests.fakes.github.answers import Answer, Refused, invalid, not_found, paged
from tests.fakes.github.auth import Kind
from tests.fakes.github.git import GitFailed
from tests.fakes.github.state import Call, State, Way, way
from tests.fakes.github.world import Issue, Pull, Repo

NO_DRAFTS = "Draft pull requests are not supported in this repository."
_METHODS = {"merge", "squash", "rebase"}


def the_pull(call: Call, repo: Repo) -> Pull:
    pull = repo.pulls.get(int(call.part["number"]))
    if pull is None:
        raise not_found()
    pull_rules.follow(call.state, call.world, repo, pull)
    return pull


def shown(call: Call, repo: Repo, pull: Pull) -> dict[str, object]:
    """The whole pull request; reading it is what makes GitHub work out whether it merges."""
    key = (pull.base_sha, pull.head_sha)
    if pull.issue.state == "open" and pull.mergeable_of != key:
        pull.mergeable, pull.mergeable_of, pull.unweighed_reads = None, key, call.state.mergeable_reads
    if pull.issue.state == "open" and pull.mergeable is None and repo.refs is None:
        if pull.unweighed_reads > 0:
            pull.unweighed_reads -= 1
        else:
            pull_rules.weigh(call.state, repo, pull)
    state = pull_rules.mergeable_state(call.state, repo, pull)
    return render.pull(call.links, call.world, repo, pull, state=state)


def listed(call: Call) -> Answer:
    repo = call.repo("pull_requests:read")
    for pull in list(repo.pulls.values()):
        pull_rules.follow(call.state, call.world, repo, pull)
    state, head, base = call.query.get("state", "open"), call.query.get("head"), call.query.get("base")
    found = [
        one
        for one in repo.pulls.values()
        if state in {"all", one.issue.state}
        and (not head or ":" not in head or one.head_label == head)
        and (not base or one.base_ref == base)
    ]
    newest_first = call.query.get("direction", "desc") != "asc"
    by = call.query.get("sort", "created")
    found.sort(key=lambda one: (one.issue.updated if by == "updated" else 0.0, one.issue.number), reverse=newest_first)
    return paged([render.pull(call.links, call.world, repo, one) for one in found], call.query, call.url)


def opened(call: Call) -> Answer:
    repo = call.repo("pull_requests:write")
    if repo.archived:
        raise Refused(403, "Repository was archived so is read-only.")
    title, base = call.body.get("title"), call.body.get("base")
    head_owner, _, head_ref = str(call.body.get("head", "")).rpartition(":")
    head_owner = head_owner or repo.owner
    if not isinstance(title, str) or not title.strip():
        raise invalid("PullRequest", "title can't be blank", "title")
    pull = create(
        call.state,
        repo,
        title=title,
        body=str(call.body.get("body") or ""),
        head=f"{head_owner}:{head_ref}",
        base=str(base),
        draft=call.body.get("draft") is True,
        user=call.login,
    )
    return Answer(status=201, body=shown(call, repo, pull))


def create(state: State, repo: Repo, *, title: str, body: str, head: str, base: str, draft: bool, user: str) -> Pull:
    """A new pull request. head: "owner:branch". Refuses what GitHub refuses, in its words."""
    owner, _, head_ref = head.partition(":")
    family = {repo.id, repo.parent} | {one.id for one in state.world.repos.values() if one.parent == repo.id}
    sources = [one for one in state.world.repos.values() if one.id in family and one.owner == owner]
    sources.sort(key=lambda one: one.id != repo.id)
    source = sources[0] if sources else None
    base_sha = state.head(repo, base)
    if base_sha is None:
        raise invalid("PullRequest", "base is invalid", "base")
    head_sha = None if source is None else state.head(source, head_ref)
    if source is None or head_sha is None:
        raise invalid("PullRequest", "head is invalid", "head")
    for one in repo.pulls.values():
        pull_rules.follow(state, state.world, repo, one)
        if one.issue.state == "open" and one.head_label == head and one.base_ref == base:
            raise invalid("PullRequest", f"A pull request already exists for {head}.")
    state.git.bring(repo.id, source.id, f"refs/heads/{head_ref}", "refs/pull/new/head")
    ahead = not state.git.is_ancestor(repo.id, head_sha, base_sha)
    state.git.set_ref(repo.id, "refs/pull/new/head", None)
    if not ahead:
        raise invalid("PullRequest", f"No commits between {base} and {head_ref}")
    if draft and not repo.allow_drafts:
        raise Refused(422, NO_DRAFTS)
    issue = new_issue(state, repo, title=title, body=body, user=user)
    pull = Pull(
        id=state.world.new_id(),
        issue=issue,
        head_repo=source.id,
        head_label=head,
        head_ref=head_ref,
        head_sha=head_sha,
        base_ref=base,
        base_sha=base_sha,
        draft=draft,
    )
    pull_rules.bring_head(state, repo, source, pull, head_sha)
    repo.pulls[issue.number] = pull
    state.tell("pull_request", "opened", repo, number=issue.number)
    return pull


def new_issue(state: State, repo: Repo, *, title: str, body: str, user: str) -> Issue:
    now = state.clock.now()
    number = max(repo.issues, default=0) + 1
    one = Issue(id=state.world.new_id(), number=number, title=title, body=body, user=user, at=now, updated=now)
    repo.issues[number] = one
    return one


def read(call: Call) -> Answer:
    repo = call.repo("pull_requests:read")
    return Answer(body=shown(call, repo, the_pull(call, repo)))


def changed(call: Call) -> Answer:
    repo = call.repo("pull_requests:write")
    pull = the_pull(call, repo)
    mine = pull.issue.user == call.login
    if call.token.kind is not Kind.INSTALLATION and not mine and not repo.allows(call.login, "write"):
        raise Refused(403, "Resource not accessible")
    for key in ("title", "body"):
        if key in call.body:
            setattr(pull.issue, key, str(call.body[key] or ""))
    if "base" in call.body:
        base = call.state.head(repo, str(call.body["base"]))
        if base is None:
            raise invalid("PullRequest", "base is invalid", "base")
        pull.base_ref, pull.base_sha = str(call.body["base"]), base
    wanted = call.body.get("state")
    if wanted == "closed" and pull.issue.state == "open":
        pull_rules.close(call.state, repo, pull)
    elif wanted == "open" and pull.issue.state == "closed":
        if pull.merged_at is not None:
            raise invalid("PullRequest", "state cannot be changed. The pull request cannot be reopened.", "state")
        source = pull_rules.head_repo(call.world, pull)
        if source is None or call.state.head(source, pull.head_ref) is None:
            raise invalid("PullRequest", f"state cannot be changed. The {pull.head_ref} branch has been deleted.")
        pull.issue.state, pull.issue.closed_at = "open", None
        call.state.tell("pull_request", "reopened", repo, number=pull.issue.number)
    pull.issue.updated = call.now
    return Answer(body=shown(call, repo, pull))


def merged(call: Call) -> Answer:
    repo = call.repo("contents:write")
    pull = the_pull(call, repo)
    if call.token.kind is not Kind.INSTALLATION and not repo.allows(call.login, "write"):
        raise Refused(403, "Resource not accessible")
    method = str(call.body.get("merge_method", "merge"))
    if method not in _METHODS:
        raise invalid("PullRequest", "merge_method is invalid", "merge_method")
    if pull.issue.state != "open":
        raise Refused(405, "Pull Request is not mergeable")
    if pull.draft:
        raise Refused(405, "Pull Request is still a draft")
    if (sha := call.body.get("sha")) is not None and sha != pull.head_sha:
        raise Refused(409, "Head branch was modified. Review and try the merge again.")
    if method == "rebase" or (method == "squash" and not repo.allow_squash):
        word = "Rebase" if method == "rebase" else "Squash"
        raise Refused(405, f"{word} merges are not allowed on this repository.")
    if not pull_rules.weigh(call.state, repo, pull):
        raise Refused(405, "Pull Request is not mergeable")
    against = pull_rules.obstacle(call.state, repo, pull)
    if against is not None:
        raise Refused(405, against)
    title = str(call.body.get("commit_title") or f"{pull.issue.title} (#{pull.issue.number})")
    message = f"{title}\n\n{call.body.get('commit_message') or ''}".strip() + "\n"
    made = merge(call.state, repo, pull, message=message, method=method, user=call.login)
    return Answer(body={"sha": made, "merged": True, "message": "Pull Request successfully merged"})


def merge(state: State, repo: Repo, pull: Pull, *, message: str, method: str, user: str) -> str:
    """Merged, closed and told; the head branch goes where the repository is set so. Refuses (409) a moved base."""
    made = pull_rules.squash(state, repo, pull, message, method)
    if made is None:
        raise Refused(409, "Base branch was modified. Review and try the merge again.")
    pull.merged_at, pull.merge_commit_sha, pull.merged_by = state.clock.now(), made, user
    pull_rules.close(state, repo, pull)
    state.tell("push", None, repo, ref=f"refs/heads/{pull.base_ref}", after=made)
    if repo.delete_on_merge and pull.head_repo == repo.id:
        state.git.set_ref(repo.id, f"refs/heads/{pull.head_ref}", None)
    return made


def is_merged(call: Call) -> Answer:
    repo = call.repo("pull_requests:read")
    if the_pull(call, repo).merged_at is None:
        raise not_found()
    return Answer(status=204)


def commits(call: Call) -> Answer:
    repo = call.repo("pull_requests:read")
    pull = the_pull(call, repo)
    try:
        found = call.state.git.run(repo.id, "rev-list", "--reverse", f"{pull.base_sha}..{pull.head_sha}").split()
    except GitFailed:
        found = []
    rows = [{"sha": one, "url": f"{call.links.of(repo)}/commits/{one}"} for one in found]
    return paged(rows, call.query, call.url)


def files(call: Call) -> Answer:
    repo = call.repo("pull_requests:read")
    pull = the_pull(call, repo)
    lines = call.state.git.run(
        repo.id, "diff", "--no-renames", "--name-status", f"{pull.base_sha}...{pull.head_sha}"
    ).splitlines()
    words = {"A": "added", "D": "removed"}
    rows = [
        {"filename": name, "status": words.get(kind, "modified")}
        for kind, _, name in (s.partition("\t") for s in lines)
    ]
    return paged(rows, call.query, call.url)


WAYS: tuple[Way, ...] = (
    way("GET", "~/pulls", listed),
    way("POST", "~/pulls", opened),
    way("GET", "~/pulls/<n:number>", read),
    way("PATCH", "~/pulls/<n:number>", changed),
    way("GET", "~/pulls/<n:number>/merge", is_merged),
    way("PUT", "~/pulls/<n:number>/merge", merged),
    way("GET", "~/pulls/<n:number>/commits", commits),
    way("GET", "~/pulls/<n:number>/files", files),
)
