"""GitHub's JSON of what machines say of a commit: check runs and suites, workflow runs and jobs, statuses, rules."""

from __future__ import annotations

from typing import Any

from tests.fakes.github import render
from tests.fakes.github.clock import stamp
from tests.fakes.github.render import Json, Links
from tests.fakes.github.world import CheckRun, Job, Protection, Repo, Status, Suite, WorkflowRun, World

ACTIONS = "github-actions"


def check(links: Links, world: World, repo: Repo, one: CheckRun) -> Json:
    page = f"{links.page(repo)}/runs/{one.id}"
    job = repo.jobs.get(one.id)
    if job is not None:
        page = f"{links.page(repo)}/actions/runs/{job.run}/job/{job.id}"
    url = f"{links.of(repo)}/check-runs/{one.id}"
    return {
        "id": one.id,
        "node_id": f"CR_{one.id}",
        "name": one.name,
        "head_sha": one.sha,
        "external_id": one.external_id,
        "url": url,
        "html_url": page,
        "details_url": one.details_url or page,
        "status": one.status,
        "conclusion": one.conclusion,
        "started_at": stamp(one.at),
        "completed_at": None if one.completed_at is None else stamp(one.completed_at),
        "output": {
            "title": one.title,
            "summary": one.summary,
            "text": one.text,
            "annotations_count": len(one.annotations),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": one.suite},
        "app": render.app(links, world, world.app(one.app)),
        "pull_requests": [],
    }


def of_suite(repo: Repo, suite: Suite) -> list[CheckRun]:
    """The latest run of every check of the suite."""
    latest = {one.name: one for one in sorted(repo.checks.values(), key=lambda one: one.id) if one.suite == suite.id}
    return list(latest.values())


def outcome(runs: list[CheckRun]) -> tuple[str, str | None]:
    """Status and conclusion of a suite or a workflow run, from its checks."""
    if not runs:
        return "queued", None
    if any(one.status != "completed" for one in runs):
        begun = any(one.status != "queued" for one in runs)
        return ("in_progress" if begun else "queued"), None
    said = {one.conclusion for one in runs}
    for worst in ("action_required", "timed_out", "failure", "startup_failure", "cancelled", "stale"):
        if worst in said:
            return "completed", worst
    return "completed", "success" if "success" in said else next(iter(said))


def suite(links: Links, world: World, repo: Repo, one: Suite) -> Json:
    status, conclusion = outcome(of_suite(repo, one))
    url = f"{links.of(repo)}/check-suites/{one.id}"
    return {
        "id": one.id,
        "node_id": f"CS_{one.id}",
        "url": url,
        "head_branch": one.branch,
        "head_sha": one.sha,
        "status": status,
        "conclusion": conclusion,
        "app": render.app(links, world, world.app(one.app)),
        "check_runs_url": f"{url}/check-runs",
        "latest_check_runs_count": len(of_suite(repo, one)),
        "pull_requests": [],
        "created_at": stamp(one.at),
        "updated_at": stamp(one.at),
    }


def workflow_run(links: Links, repo: Repo, one: WorkflowRun) -> Json:
    status, conclusion = outcome(of_suite(repo, repo.suites[one.suite]))
    url = f"{links.of(repo)}/actions/runs/{one.id}"
    return {
        "id": one.id,
        "node_id": f"WFR_{one.id}",
        "name": one.name,
        "head_branch": one.branch,
        "head_sha": one.sha,
        "path": f".github/workflows/{one.name.lower()}.yml",
        "run_number": one.id,
        "run_attempt": one.attempt,
        "event": one.event,
        "status": status,
        "conclusion": conclusion,
        "workflow_id": 1,
        "check_suite_id": one.suite,
        "url": url,
        "html_url": f"{links.page(repo)}/actions/runs/{one.id}",
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "check_suite_url": f"{links.of(repo)}/check-suites/{one.suite}",
        "created_at": stamp(one.at),
        "updated_at": stamp(one.at),
        "pull_requests": [],
    }


def job(links: Links, repo: Repo, one: Job) -> Json:
    run, of = repo.runs[one.run], repo.checks[one.id]
    return {
        "id": one.id,
        "run_id": one.run,
        "node_id": f"CR_{one.id}",
        "name": of.name,
        "workflow_name": run.name,
        "head_sha": of.sha,
        "head_branch": run.branch,
        "run_attempt": run.attempt,
        "status": of.status,
        "conclusion": of.conclusion,
        "url": f"{links.of(repo)}/actions/jobs/{one.id}",
        "run_url": f"{links.of(repo)}/actions/runs/{one.run}",
        "check_run_url": f"{links.of(repo)}/check-runs/{one.id}",
        "html_url": f"{links.page(repo)}/actions/runs/{one.run}/job/{one.id}",
        "started_at": stamp(of.at),
        "completed_at": None if of.completed_at is None else stamp(of.completed_at),
        "steps": [],
        "labels": [],
    }


def status(links: Links, world: World, repo: Repo, one: Status, *, creator: bool = True) -> Json:
    answer: Json = {
        "id": one.id,
        "node_id": f"SC_{one.id}",
        "url": f"{links.of(repo)}/statuses/{one.sha}",
        "state": one.state,
        "context": one.context,
        "description": one.description,
        "target_url": one.target_url,
        "created_at": stamp(one.at),
        "updated_at": stamp(one.at),
    }
    return answer | ({"creator": render.user(links, world, one.creator)} if creator else {})


def protection(url: str, one: Protection) -> Json:
    answer: Json = {"url": url, "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": one.enforce_admins}}
    if one.checks is not None:
        answer["required_status_checks"] = required(f"{url}/required_status_checks", one)
    if one.reviews is not None:
        answer["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews",
            "dismiss_stale_reviews": False,
            "require_code_owner_reviews": False,
            "required_approving_review_count": one.reviews,
        }
    return answer


def required(url: str, one: Protection) -> Json:
    checks = one.checks or ()
    return {
        "url": url,
        "strict": one.strict,
        "contexts": [name for name, _ in checks],
        "contexts_url": f"{url}/contexts",
        "checks": [{"context": name, "app_id": source} for name, source in checks],
    }


def rules(full_name: str, one: Protection) -> list[Json]:
    """A ruleset's rules, as they are listed for a branch."""
    source = {"ruleset_source_type": "Repository", "ruleset_source": full_name, "ruleset_id": one.ruleset}
    found: list[Json] = []
    if one.checks is not None:
        checks: list[dict[str, Any]] = [
            {"context": name} | ({} if app is None else {"integration_id": app}) for name, app in one.checks
        ]
        parameters = {"required_status_checks": checks, "strict_required_status_checks_policy": one.strict}
        found.append({"type": "required_status_checks", "parameters": parameters} | source)
    if one.reviews is not None:
        wanted = {"required_approving_review_count": one.reviews, "dismiss_stale_reviews_on_push": False}
        found.append({"type": "pull_request", "parameters": wanted} | source)
    return found
