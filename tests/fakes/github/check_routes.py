"""Check runs and suites, workflow runs and jobs with their logs over REST."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from tests.fakes.github import render_checks
from tests.fakes.github.answers import Answer, Refused, invalid, not_found, paged
from tests.fakes.github.auth import Kind
from tests.fakes.github.state import Call, State, Way, way
from tests.fakes.github.status_routes import commit_of
from tests.fakes.github.world import CheckRun, Repo, Suite

DOWNLOAD_S = 60
_CONCLUSIONS = {
    "action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out", "startup_failure"
}  # fmt: skip
_STATES = {"queued", "in_progress", "completed", "waiting", "requested", "pending"}


def suite_of(state: State, repo: Repo, sha: str, slug: str) -> Suite:
    """The app's suite on the commit, made when first asked for."""
    state.world.app(slug)
    for one in repo.suites.values():
        if (one.sha, one.app) == (sha, slug):
            return one
    heads = {found: ref.removeprefix("refs/heads/") for ref, found in state.git.refs(repo.id).items()}
    made = Suite(id=state.world.new_id(), sha=sha, app=slug, branch=heads.get(sha), at=state.clock.now())
    repo.suites[made.id] = made
    return made


def _checks(call: Call, repo: Repo, found: list[CheckRun]) -> Answer:
    name, status = call.query.get("check_name"), call.query.get("status")
    app, latest = call.query.get("app_id"), call.query.get("filter", "latest") == "latest"
    found = [
        one
        for one in sorted(found, key=lambda one: -one.id)
        if name in {None, one.name} and status in {None, one.status} and app in {None, str(call.world.app(one.app).id)}
    ]
    if latest:
        seen: dict[tuple[int, str], CheckRun] = {}
        for one in found:
            seen.setdefault((one.suite, one.name), one)
        found = list(seen.values())
    rows = [render_checks.check(call.links, call.world, repo, one) for one in found]
    return paged(rows, call.query, call.url, "check_runs")


def checks(call: Call) -> Answer:
    repo = call.repo("checks:read")
    sha = commit_of(call, repo)
    return _checks(call, repo, [one for one in repo.checks.values() if one.sha == sha])


def checks_of_suite(call: Call) -> Answer:
    repo = call.repo("checks:read")
    return _checks(call, repo, [one for one in repo.checks.values() if one.suite == int(call.part["suite"])])


def suites(call: Call) -> Answer:
    repo = call.repo("checks:read")
    sha = commit_of(call, repo)
    found = [one for one in repo.suites.values() if one.sha == sha]
    rows = [render_checks.suite(call.links, call.world, repo, one) for one in found]
    return paged(rows, call.query, call.url, "check_suites")


def suite(call: Call) -> Answer:
    repo = call.repo("checks:read")
    one = repo.suites.get(int(call.part["suite"]))
    if one is None:
        raise not_found()
    return Answer(body=render_checks.suite(call.links, call.world, repo, one))


def _check(call: Call, repo: Repo) -> CheckRun:
    one = repo.checks.get(int(call.part["check"]))
    if one is None:
        raise not_found()
    return one


def check(call: Call) -> Answer:
    repo = call.repo("checks:read")
    return Answer(body=render_checks.check(call.links, call.world, repo, _check(call, repo)))


def annotated(call: Call) -> Answer:
    repo = call.repo("checks:read")
    return paged(_check(call, repo).annotations, call.query, call.url)


def _app(call: Call, repo: Repo) -> str:
    """The app that asks; only apps have checks."""
    if call.token.kind is not Kind.INSTALLATION or call.token.app is None:
        # Said of who may see the repository only; _repo has refused the others.
        raise Refused(403, "You must authenticate via a GitHub App.")
    call.repo("checks:write")
    if repo.archived:
        raise Refused(403, "Repository was archived so is read-only.")
    return call.token.app


def created(call: Call) -> Answer:
    repo = call.repo("metadata:read")
    slug = _app(call, repo)
    name, sha = str(call.body.get("name") or ""), str(call.body.get("head_sha") or "")
    if not name or call.state.git.resolve(repo.id, sha) != sha:
        raise Refused(422, "No commit found for SHA: " + sha if name else "Invalid request. name wasn't supplied.")
    one = CheckRun(
        id=call.world.new_id(),
        suite=suite_of(call.state, repo, sha, slug).id,
        sha=sha,
        name=name,
        app=slug,
        status="queued",
        conclusion=None,
        at=call.now,
        completed_at=None,
    )
    _fill(call, one)
    repo.checks[one.id] = one
    told(call.state, repo, one)
    return Answer(status=201, body=render_checks.check(call.links, call.world, repo, one))


def updated(call: Call) -> Answer:
    repo = call.repo("metadata:read")
    slug = _app(call, repo)
    one = _check(call, repo)
    if one.app != slug:
        raise Refused(403, "Invalid app_id `" + str(call.world.app(slug).id) + "` - check run can only be modified "
                      "by the GitHub App that created it.")  # fmt: skip
    _fill(call, one)
    told(call.state, repo, one)
    return Answer(body=render_checks.check(call.links, call.world, repo, one))


def told(state: State, repo: Repo, one: CheckRun) -> None:
    """The webhooks hear of it, and of its suite when that is through."""
    state.tell("check_run", "completed" if one.status == "completed" else "created", repo, check=one.id)
    if render_checks.outcome(render_checks.of_suite(repo, repo.suites[one.suite]))[0] == "completed":
        state.tell("check_suite", "completed", repo, suite=one.suite)


def _fill(call: Call, one: CheckRun) -> None:
    body: dict[str, Any] = call.body
    output: dict[str, Any] = body.get("output") or {}
    conclusion, status = body.get("conclusion"), body.get("status")
    if conclusion is not None and conclusion not in _CONCLUSIONS:
        raise invalid("CheckRun", "conclusion is invalid", "conclusion")
    if status is not None and status not in _STATES:
        raise invalid("CheckRun", "status is invalid", "status")
    if status == "completed" and conclusion is None and one.conclusion is None:
        raise invalid("CheckRun", "a completed check needs a conclusion", "conclusion")
    if output and not (output.get("title") and output.get("summary")):
        raise invalid("CheckRun", "output needs a title and a summary", "output")
    if len(str(output.get("summary") or "")) > 65535 or len(str(output.get("text") or "")) > 65535:
        raise invalid("CheckRun", "output is too long", "output")
    one.name = str(body.get("name") or one.name)
    one.status = str(status or one.status)
    if conclusion is not None:
        one.status, one.conclusion = "completed", str(conclusion)
    elif one.status != "completed":
        one.conclusion = None
    one.completed_at = (one.completed_at or call.now) if one.status == "completed" else None
    if started := body.get("started_at"):
        one.at = datetime.fromisoformat(str(started)).timestamp()
    one.title, one.summary = output.get("title", one.title), output.get("summary", one.summary)
    one.text = output.get("text", one.text)
    one.annotations.extend(output.get("annotations", [])[:50])
    one.details_url = body.get("details_url", one.details_url)
    one.external_id = str(body.get("external_id", one.external_id))


def runs(call: Call) -> Answer:
    repo = call.repo("actions:read")
    sha, branch = call.query.get("head_sha"), call.query.get("branch")
    found = [one for one in repo.runs.values() if sha in {None, one.sha} and branch in {None, one.branch}]
    rows = [render_checks.workflow_run(call.links, repo, one) for one in reversed(found)]
    return paged(rows, call.query, call.url, "workflow_runs")


def run(call: Call) -> Answer:
    repo = call.repo("actions:read")
    one = repo.runs.get(int(call.part["run"]))
    if one is None:
        raise not_found()
    return Answer(body=render_checks.workflow_run(call.links, repo, one))


def jobs(call: Call) -> Answer:
    repo = call.repo("actions:read")
    found = [one for one in repo.jobs.values() if one.run == int(call.part["run"])]
    rows = [render_checks.job(call.links, repo, one) for one in found]
    return paged(rows, call.query, call.url, "jobs")


def job(call: Call) -> Answer:
    repo = call.repo("actions:read")
    one = repo.jobs.get(int(call.part["job"]))
    if one is None:
        raise not_found()
    return Answer(body=render_checks.job(call.links, repo, one))


def log(call: Call) -> Answer:
    """A redirect to a download that is good for a minute and needs no credential."""
    repo = call.repo("actions:read")
    if call.token.kind is Kind.NOBODY:
        raise Refused(403, "Must have admin rights to Repository.")
    one = repo.jobs.get(int(call.part["job"]))
    if one is None or one.log is None or repo.checks[one.id].status != "completed":
        raise not_found()
    if call.state.log_host:
        return Answer(status=302, headers={"Location": call.state.log_host})
    key = secrets.token_hex(16)
    call.state.downloads[key] = (call.now + DOWNLOAD_S, one.log.encode())
    while len(call.state.downloads) > 100:
        call.state.downloads.pop(next(iter(call.state.downloads)))
    return Answer(status=302, headers={"Location": f"{call.links.api}/_downloads/{key}"})


def download(call: Call) -> Answer:
    until, content = call.state.downloads.get(call.part["key"], (0.0, b""))
    if until <= call.now:
        raise Refused(403, "Server failed to authenticate the request.")
    return Answer(raw=content, content_type="text/plain; charset=utf-8")


WAYS: tuple[Way, ...] = (
    way("GET", "~/commits/<rest:ref>/check-runs", checks),
    way("GET", "~/commits/<rest:ref>/check-suites", suites),
    way("GET", "~/check-suites/<n:suite>", suite),
    way("GET", "~/check-suites/<n:suite>/check-runs", checks_of_suite),
    way("POST", "~/check-runs", created),
    way("GET", "~/check-runs/<n:check>", check),
    way("PATCH", "~/check-runs/<n:check>", updated),
    way("GET", "~/check-runs/<n:check>/annotations", annotated),
    way("GET", "~/actions/runs", runs),
    way("GET", "~/actions/runs/<n:run>", run),
    way("GET", "~/actions/runs/<n:run>/jobs", jobs),
    way("GET", "~/actions/jobs/<n:job>", job),
    way("GET", "~/actions/jobs/<n:job>/logs", log),
    way("GET", "/_downloads/<key>", download),
)
