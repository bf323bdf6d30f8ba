"""GitHub's JSON, as far as clients read it: users, repositories, issues, pull requests and what is said of them."""

from __future__ import annotations

from typing import Any

from tests.fakes.github.clock import stamp
from tests.fakes.github.world import App, Comment, Installation, Issue, LineComment, Pull, Repo, Review, World

Json = dict[str, Any]


class Links:
    """Absolute addresses: of the API and of the pages for people. Clients insist on one and the same host."""

    def __init__(self, origin: str, prefix: str) -> None:
        self.web = origin
        self.api = f"{origin}{prefix}"

    def of(self, repo: Repo) -> str:
        return f"{self.api}/repos/{repo.full_name}"

    def page(self, repo: Repo) -> str:
        return f"{self.web}/{repo.full_name}"


def user(links: Links, world: World, login: str) -> Json:
    one = world.user(login)
    return {
        "login": one.login,
        "id": one.id,
        "node_id": f"U_{one.id}",
        "type": one.kind,
        "site_admin": False,
        "url": f"{links.api}/users/{one.login}",
        "html_url": f"{links.web}/{one.login}",
    }


def app(links: Links, world: World, one: App) -> Json:
    return {
        "id": one.id,
        "slug": one.slug,
        "name": one.slug.replace("-", " ").title(),
        "node_id": f"A_{one.id}",
        "owner": user(links, world, "github"),
        "permissions": one.permissions,
        "events": [],
        "html_url": f"{links.web}/apps/{one.slug}",
    }


def installation(links: Links, world: World, one: Installation) -> Json:
    slug = next(two.slug for two in world.apps.values() if two.id == one.app_id)
    return {
        "id": one.id,
        "app_id": one.app_id,
        "app_slug": slug,
        "account": user(links, world, one.account),
        "target_type": "Organization",
        "repository_selection": "all" if one.repos is None else "selected",
        "permissions": one.permissions,
        "events": [],
        "suspended_at": None,
        "access_tokens_url": f"{links.api}/app/installations/{one.id}/access_tokens",
        "repositories_url": f"{links.api}/installation/repositories",
    }


def repo(links: Links, world: World, one: Repo, login: str | None = None, *, short: bool = False) -> Json:
    parent = None if one.parent is None else world.repos.get(one.parent)
    answer: Json = {
        "id": one.id,
        "node_id": f"R_{one.id}",
        "name": one.name,
        "full_name": one.full_name,
        "owner": user(links, world, one.owner),
        "private": one.private,
        "visibility": "private" if one.private else "public",
        "fork": one.parent is not None,
        "url": links.of(one),
        "html_url": links.page(one),
        "clone_url": f"{links.page(one)}.git",
        "default_branch": one.default_branch,
        "archived": one.archived,
        "disabled": False,
        "has_issues": one.issues_on,
        "created_at": stamp(one.at),
    }
    if short:
        return answer
    answer |= {
        "allow_squash_merge": one.allow_squash,
        "allow_merge_commit": True,
        "allow_rebase_merge": False,
        "delete_branch_on_merge": one.delete_on_merge,
        "permissions": {
            "admin": one.allows(login, "admin"),
            "maintain": one.allows(login, "maintain"),
            "push": one.allows(login, "write"),
            "triage": one.allows(login, "triage"),
            "pull": one.allows(login, "read"),
        },
    }
    if parent is not None:
        short_parent = repo(links, world, parent, short=True)
        answer |= {"parent": short_parent, "source": short_parent}
    return answer


def label(links: Links, one: Repo, name: str) -> Json:
    number = one.labels.get(name, 0)
    return {
        "id": number,
        "node_id": f"LA_{number}",
        "url": f"{links.of(one)}/labels/{name}",
        "name": name,
        "color": "ededed",
        "default": False,
        "description": None,
    }


def association(repository: Repo, login: str) -> str:
    if login == repository.owner:
        return "OWNER"
    return "COLLABORATOR" if login in repository.collaborators else "NONE"


def issue(links: Links, world: World, repository: Repo, one: Issue) -> Json:
    url = f"{links.of(repository)}/issues/{one.number}"
    kind = "pull" if one.number in repository.pulls else "issues"
    answer: Json = {
        "id": one.id,
        "node_id": f"I_{one.id}",
        "number": one.number,
        "url": url,
        "repository_url": links.of(repository),
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "html_url": f"{links.page(repository)}/{kind}/{one.number}",
        "title": one.title,
        "body": one.body or None,
        "user": user(links, world, one.user),
        "author_association": association(repository, one.user),
        "state": one.state,
        "locked": False,
        "labels": [label(links, repository, name) for name in one.labels],
        "comments": sum(two.number == one.number for two in repository.comments.values()),
        "created_at": stamp(one.at),
        "updated_at": stamp(one.updated),
        "closed_at": None if one.closed_at is None else stamp(one.closed_at),
    }
    if kind == "pull":
        pull_url = f"{links.of(repository)}/pulls/{one.number}"
        answer["pull_request"] = {"url": pull_url, "html_url": answer["html_url"]}
    return answer


def pull(links: Links, world: World, repository: Repo, one: Pull, *, state: str | None = None) -> Json:
    """The pull request. state: its mergeable_state where the whole is asked for; None in lists, which leave it out."""
    said = issue(links, world, repository, one.issue)
    url = f"{links.of(repository)}/pulls/{one.issue.number}"
    head_repo = None if one.head_repo is None else world.repos.get(one.head_repo)
    head_owner = one.head_label.partition(":")[0]
    kept = ("number", "title", "body", "user", "author_association", "state", "locked", "labels", "html_url")
    answer: Json = {key: said[key] for key in (*kept, "created_at", "updated_at", "closed_at")} | {
        "id": one.id,
        "node_id": f"PR_{one.id}",
        "url": url,
        "issue_url": said["url"],
        "comments_url": said["comments_url"],
        "review_comments_url": f"{url}/comments",
        "commits_url": f"{url}/commits",
        "statuses_url": f"{links.of(repository)}/statuses/{one.head_sha}",
        "draft": one.draft,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "auto_merge": None,
        "merge_commit_sha": one.merge_commit_sha,
        "merged_at": None if one.merged_at is None else stamp(one.merged_at),
        "head": {
            "label": one.head_label,
            "ref": one.head_ref,
            "sha": one.head_sha,
            "user": user(links, world, head_owner),
            "repo": None if head_repo is None else repo(links, world, head_repo, short=True),
        },
        "base": {
            "label": f"{repository.owner}:{one.base_ref}",
            "ref": one.base_ref,
            "sha": one.base_sha,
            "user": user(links, world, repository.owner),
            "repo": repo(links, world, repository, short=True),
        },
    }
    if state is None:
        return answer
    number = one.issue.number
    return answer | {
        "merged": one.merged_at is not None,
        "merged_by": None if one.merged_by is None else user(links, world, one.merged_by),
        "mergeable": one.mergeable,
        "mergeable_state": state,
        "maintainer_can_modify": one.maintainer_can_modify,
        "comments": said["comments"],
        "review_comments": sum(two.number == number for two in repository.line_comments.values()),
    }


def comment(links: Links, world: World, repository: Repo, one: Comment) -> Json:
    kind = "pull" if one.number in repository.pulls else "issues"
    return {
        "id": one.id,
        "node_id": f"IC_{one.id}",
        "url": f"{links.of(repository)}/issues/comments/{one.id}",
        "html_url": f"{links.page(repository)}/{kind}/{one.number}#issuecomment-{one.id}",
        "issue_url": f"{links.of(repository)}/issues/{one.number}",
        "body": one.body,
        "user": user(links, world, one.user),
        "author_association": association(repository, one.user),
        "created_at": stamp(one.at),
        "updated_at": stamp(one.updated),
        "performed_via_github_app": None if one.app is None else app(links, world, world.app(one.app)),
    }


def review(links: Links, world: World, repository: Repo, one: Review) -> Json:
    url = f"{links.of(repository)}/pulls/{one.number}"
    return {
        "id": one.id,
        "node_id": f"PRR_{one.id}",
        "user": user(links, world, one.user),
        "body": one.body,
        "state": one.state,
        "html_url": f"{links.page(repository)}/pull/{one.number}#pullrequestreview-{one.id}",
        "pull_request_url": url,
        "author_association": association(repository, one.user),
        "submitted_at": stamp(one.at),
        "commit_id": one.commit,
    }


def line_comment(links: Links, world: World, repository: Repo, one: LineComment) -> Json:
    url = f"{links.of(repository)}/pulls/comments/{one.id}"
    answer: Json = {
        "id": one.id,
        "node_id": f"PRRC_{one.id}",
        "url": url,
        "html_url": f"{links.page(repository)}/pull/{one.number}#discussion_r{one.id}",
        "pull_request_url": f"{links.of(repository)}/pulls/{one.number}",
        "pull_request_review_id": one.review,
        "diff_hunk": one.hunk,
        "path": one.path,
        "position": one.line,
        "original_position": one.line or 1,
        "line": one.line,
        "original_line": one.line,
        "side": one.side,
        "subject_type": "line",
        "commit_id": one.commit,
        "original_commit_id": one.commit,
        "body": one.body,
        "user": user(links, world, one.user),
        "author_association": association(repository, one.user),
        "created_at": stamp(one.at),
        "updated_at": stamp(one.updated),
    }
    return answer if one.reply_to is None else answer | {"in_reply_to_id": one.reply_to}
