"""Repositories, users, branches, commits, refs, labels and the rules of branches over REST."""

from __future__ import annotations

import base64
from urllib.parse import unquote

from tests.fakes.github import pull_rules, render, render_checks
from tests.fakes.github.answers import Answer, Refused, invalid, not_found, paged
from tests.fakes.github.auth import Kind
from tests.fakes.github.git import GitFailed
from tests.fakes.github.render import Json
from tests.fakes.github.state import Call, Way, way
from tests.fakes.github.world import Repo


def repository(call: Call) -> Answer:
    repo = call.repo("metadata:read")
    return Answer(body=render.repo(call.links, call.world, repo, call.token.login))


def me(call: Call) -> Answer:
    if call.token.kind is Kind.INSTALLATION:
        raise Refused(403, "Resource not accessible by integration")
    if call.token.login is None:
        raise Refused(401, "Requires authentication")
    headers = {"X-OAuth-Scopes": ", ".join(call.token.scopes)} if call.token.kind is Kind.CLASSIC else {}
    return Answer(body=render.user(call.links, call.world, call.token.login), headers=headers)


def someone(call: Call) -> Answer:
    login = unquote(call.part["login"])
    if login not in call.world.users:
        raise not_found()
    return Answer(body=render.user(call.links, call.world, login))


def limits(call: Call) -> Answer:
    one = call.state.allowance(call.token)
    core = {"limit": one.limit, "used": one.used, "remaining": max(one.limit - one.used, 0), "reset": int(one.reset)}
    return Answer(body={"resources": {"core": core, "search": core, "graphql": core}, "rate": core})


def permission(call: Call) -> Answer:
    repo = call.repo("metadata:read")
    login = unquote(call.part["login"])
    if login not in call.world.users:
        raise not_found()
    if not (call.token.kind is Kind.INSTALLATION or repo.allows(call.token.login, "write")):
        raise Refused(403, "Must have push access to view collaborator permission.")
    level = repo.level_of(login)
    short = {"triage": "read", "maintain": "write"}.get(level, level)
    found = render.user(call.links, call.world, login)
    return Answer(body={"permission": short, "role_name": level, "user": found})


def collaborators(call: Call) -> Answer:
    repo = call.repo("metadata:read")
    rows = [render.user(call.links, call.world, one) for one in (repo.owner, *repo.collaborators)]
    return paged(rows, call.query, call.url)


def _branch(call: Call, repo: Repo, name: str, sha: str) -> Json:
    url = f"{call.links.of(repo)}/branches/{name}"
    answer: Json = {
        "name": name,
        "commit": {"sha": sha, "url": f"{call.links.of(repo)}/commits/{sha}"},
        "protected": bool(repo.rules_of(name)),
        "protection_url": f"{url}/protection",
    }
    classic = repo.protections.get(name)
    if classic is not None and classic.checks is not None:
        contexts = [one for one, _ in classic.checks]
        checks = [{"context": one, "app_id": app} for one, app in classic.checks]
        required = {"enforcement_level": "everyone", "contexts": contexts, "checks": checks}
        answer["protection"] = {"enabled": True, "required_status_checks": required}
    return answer


def branch(call: Call) -> Answer:
    repo = call.repo("contents:read")
    name = unquote(call.part["branch"])
    sha = call.state.head(repo, name)
    if sha is None:
        raise Refused(404, "Branch not found")
    return Answer(body=_branch(call, repo, name, sha))


def branches(call: Call) -> Answer:
    repo = call.repo("contents:read")
    heads = {ref: sha for ref, sha in call.state.refs(repo).items() if ref.startswith("refs/heads/")}
    rows = [_branch(call, repo, ref.removeprefix("refs/heads/"), sha) for ref, sha in heads.items()]
    return paged(rows, call.query, call.url)


def protection(call: Call) -> Answer:
    """Classic protection; reading it wants administration:read, and an admin's token."""
    repo = call.repo("administration:read")
    if call.token.kind in {Kind.CLASSIC, Kind.FINE_GRAINED} and not repo.allows(call.token.login, "admin"):
        raise not_found()
    name = unquote(call.part["branch"])
    if call.state.head(repo, name) is None:
        raise Refused(404, "Branch not found")
    found = repo.protections.get(name)
    if found is None:
        raise Refused(404, "Branch not protected")
    base = f"{call.links.of(repo)}/branches/{name}/protection"
    if call.path.endswith("/required_status_checks"):
        if found.checks is None:
            raise Refused(404, "Required status checks not enabled")
        return Answer(body=render_checks.required(call.url, found))
    return Answer(body=render_checks.protection(base, found))


def rules(call: Call) -> Answer:
    repo = call.repo("metadata:read")
    name = unquote(call.part["branch"])
    found = [
        rule
        for one in repo.rules_of(name)
        if one.ruleset is not None
        for rule in render_checks.rules(repo.full_name, one)
    ]
    return paged(found, call.query, call.url)


def _sha(call: Call, repo: Repo) -> str:
    sha = call.state.git.resolve(repo.id, unquote(call.part["ref"]))
    if sha is None:
        raise Refused(422, f"No commit found for SHA: {unquote(call.part['ref'])}")
    return sha


def commit(call: Call) -> Answer:
    repo = call.repo("contents:read")
    sha = _sha(call, repo)
    raw = call.state.git.run(repo.id, "show", "-s", "--format=%T%x00%P%x00%an%x00%ae%x00%aI%x00%B", sha)
    tree, parents, name, email, date, message = raw.split("\0", 5)
    who = {"name": name, "email": email, "date": date}
    base = call.links.of(repo)
    body: Json = {
        "sha": sha,
        "url": f"{base}/commits/{sha}",
        "html_url": f"{call.links.page(repo)}/commit/{sha}",
        "commit": {"message": message, "author": who, "committer": who, "tree": {"sha": tree}},
        "parents": [{"sha": one, "url": f"{base}/commits/{one}"} for one in parents.split()],
    }
    return Answer(body=body)


def git_commit(call: Call) -> Answer:
    """The bare commit, by its whole id only."""
    repo = call.repo("contents:read")
    sha = call.part["sha"]
    if call.state.git.resolve(repo.id, sha) != sha:
        raise not_found()
    raw = call.state.git.run(repo.id, "show", "-s", "--format=%T%x00%P%x00%B", sha)
    tree, parents, message = raw.split("\0", 2)
    base = f"{call.links.of(repo)}/git"
    body: Json = {
        "sha": sha,
        "url": f"{base}/commits/{sha}",
        "message": message,
        "tree": {"sha": tree, "url": f"{base}/trees/{tree}"},
        "parents": [{"sha": one, "url": f"{base}/commits/{one}"} for one in parents.split()],
    }
    return Answer(body=body)


def _ref(call: Call, repo: Repo, ref: str, sha: str) -> Json:
    url = f"{call.links.of(repo)}/git/{ref}"
    return {"ref": ref, "url": url, "node_id": f"REF_{ref}", "object": {"type": "commit", "sha": sha, "url": url}}


def ref(call: Call) -> Answer:
    repo = call.repo("contents:read")
    name = f"refs/{unquote(call.part['ref'])}"
    sha = call.state.refs(repo).get(name)
    if sha is None:
        raise not_found()
    return Answer(body=_ref(call, repo, name, sha))


def ref_created(call: Call) -> Answer:
    repo = call.repo("contents:write")
    name, sha = str(call.body.get("ref")), str(call.body.get("sha"))
    if not name.startswith("refs/"):
        raise Refused(422, "Reference name must start with 'refs/'.")
    if name in call.state.refs(repo):
        raise Refused(422, "Reference already exists")
    _set(call, repo, name, sha, None)
    return Answer(status=201, body=_ref(call, repo, name, sha))


def ref_moved(call: Call) -> Answer:
    repo = call.repo("contents:write")
    name, sha = f"refs/{unquote(call.part['ref'])}", str(call.body.get("sha"))
    old = call.state.refs(repo).get(name)
    if old is None:
        raise Refused(422, "Reference does not exist")
    if call.body.get("force") is not True and not call.state.git.is_ancestor(repo.id, old, sha):
        raise Refused(422, "Update is not a fast forward")
    _set(call, repo, name, sha, old)
    return Answer(body=_ref(call, repo, name, sha))


def ref_deleted(call: Call) -> Answer:
    repo = call.repo("contents:write")
    name = f"refs/{unquote(call.part['ref'])}"
    if name not in call.state.refs(repo):
        raise Refused(422, "Reference does not exist")
    if repo.rules_of(name.removeprefix("refs/heads/")):
        raise Refused(422, "Cannot delete a protected branch")
    call.state.git.set_ref(repo.id, name, None)
    for pull in repo.pulls.values():
        pull_rules.follow(call.state, call.world, repo, pull)
    return Answer(status=204)


def _set(call: Call, repo: Repo, name: str, sha: str, old: str | None) -> None:
    try:
        call.state.git.set_ref(repo.id, name, sha, old=old)
    except GitFailed:
        raise Refused(422, "Object does not exist") from None
    call.state.tell("push", None, repo, ref=name, after=sha)


def contents(call: Call) -> Answer:
    repo = call.repo("contents:read")
    path, where = unquote(call.part["path"]), call.query.get("ref", repo.default_branch)
    sha = call.state.git.resolve(repo.id, where)
    if sha is None:
        raise Refused(404, f"No commit found for the ref {where}")
    try:
        text = call.state.git.run(repo.id, "cat-file", "blob", f"{sha}:{path}")
    except GitFailed:
        raise not_found() from None
    encoded = base64.encodebytes(f"{text}\n".encode()).decode()
    blob = {"type": "file", "encoding": "base64", "path": path, "name": path.rpartition("/")[2], "content": encoded}
    return Answer(body=blob | {"url": call.url, "sha": sha, "size": len(text) + 1})


def labels(call: Call) -> Answer:
    repo = call.repo("issues:read")
    return paged([render.label(call.links, repo, one) for one in repo.labels], call.query, call.url)


def label(call: Call) -> Answer:
    repo = call.repo("issues:read")
    name = unquote(call.part["label"])
    if name not in repo.labels:
        raise not_found()
    return Answer(body=render.label(call.links, repo, name))


def label_created(call: Call) -> Answer:
    repo = call.repo("issues:write")
    name = str(call.body.get("name") or "")
    if not name or name in repo.labels:
        raise invalid("Label", "already_exists" if name else "missing_field", "name")
    repo.labels[name] = call.world.new_id()
    return Answer(status=201, body=render.label(call.links, repo, name))


WAYS: tuple[Way, ...] = (
    way("GET", "~", repository),
    way("GET", "/user", me),
    way("GET", "/users/<login>", someone),
    way("GET", "/rate_limit", limits),
    way("GET", "~/collaborators", collaborators),
    way("GET", "~/collaborators/<login>/permission", permission),
    way("GET", "~/branches", branches),
    way("GET", "~/branches/<rest:branch>/protection(?:/required_status_checks)?", protection),
    way("GET", "~/branches/<rest:branch>", branch),
    way("GET", "~/rules/branches/<rest:branch>", rules),
    way("GET", "~/git/refs?/<rest:ref>", ref),
    way("POST", "~/git/refs", ref_created),
    way("PATCH", "~/git/refs/<rest:ref>", ref_moved),
    way("DELETE", "~/git/refs/<rest:ref>", ref_deleted),
    way("GET", "~/contents/<rest:path>", contents),
    way("GET", "~/labels", labels),
    way("POST", "~/labels", label_created),
    way("GET", "~/labels/<label>", label),
    way("GET", "~/commits/<ref>", commit),
    way("GET", "~/git/commits/<sha>", git_commit),
)
