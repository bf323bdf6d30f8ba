"""The GitHub double, driven by PyGithub and git as they are."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import github
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github.Repository import Repository

from mcp_ashigaru.web.webhooks import EVENTS, is_signed
from tests.fakes.github import hooks
from tests.fakes.github.double import GitHubDouble
from tests.fakes.github.faults import How
from tests.fakes.github.running import running_double

REPO = "acme/widgets"
PULLS = r"/repos/acme/widgets/pulls"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[GitHubDouble]:
    with running_double(tmp_path) as one:
        one.add_repo(REPO)
        one.commit(REPO, "main", {"a.txt": "one\n"})
        one.commit(REPO, "work", {"b.txt": "two\n"})
        one.collaborator(REPO, "runner-bot")
        yield one


@pytest.fixture
def token(double: GitHubDouble) -> str:
    return double.token("runner-bot")


@pytest.fixture
def repo(double: GitHubDouble, token: str) -> Repository:
    return client(double, token).get_repo(REPO)


def client(double: GitHubDouble, token: str, url: str = "") -> github.Github:
    auth = github.Auth.Token(token)
    at_once = {"seconds_between_requests": 0, "seconds_between_writes": 0}
    return github.Github(base_url=url or double.url, auth=auth, retry=None, **at_once)


def fetch(double: GitHubDouble, path: str, token: str, **headers: str) -> httpx.Response:
    asked = {"Authorization": f"Bearer {token}"} | {name.replace("_", "-"): one for name, one in headers.items()}
    return httpx.get(f"{double.url}{path}", headers=asked, trust_env=False, timeout=10)


def refusal(deed: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(github.GithubException) as caught:
        deed()
    return caught.value.status, str(caught.value.data["message"])


def git(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "http.postBuffer=65536"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=where, capture_output=True, text=True, encoding="utf-8", timeout=30, check=False
    )


def remote(double: GitHubDouble, token: str, name: str = REPO) -> str:
    return f"{double.origin.replace('://', f'://x-access-token:{token}@')}/{name}.git"


def test_git_clones_and_pushes_and_the_pull_request_follows(
    double: GitHubDouble, repo: Repository, token: str, tmp_path: Path
) -> None:
    pull = repo.create_pull(base="main", head="work", title="T")
    assert git(tmp_path, "clone", "-q", "-b", "work", remote(double, token), "clone").returncode == 0
    clone = tmp_path / "clone"
    # Large enough that git sends it in chunks.
    (clone / "big.bin").write_bytes(bytes(range(256)) * 2048 + Path(__file__).read_bytes() * 10)
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "more")
    assert git(clone, "push", "-q", "origin", "work").returncode == 0
    assert repo.get_pull(pull.number).head.sha == git(clone, "rev-parse", "HEAD").stdout.strip()
    assert git(clone, "fetch", "-q", "origin", "refs/pull/1/head").returncode == 0


@pytest.mark.parametrize("prefix", ["/api/v3", ""])
def test_pygithub_works_with_the_prefix_of_enterprise_and_without(
    double: GitHubDouble, token: str, prefix: str
) -> None:
    one = client(double, token, double.origin + prefix).get_repo(REPO)
    pull = one.create_pull(base="main", head="work", title="T", draft=True)
    pull.mark_ready_for_review()
    assert one.get_pull(pull.number).draft is False
    pull.convert_to_draft()
    assert one.get_pull(pull.number).draft is True


def test_a_second_pull_request_for_a_branch_is_refused(repo: Repository) -> None:
    repo.create_pull(base="main", head="work", title="T")
    assert refusal(lambda: repo.create_pull(base="main", head="work", title="T"))[0] == 422
    assert refusal(lambda: repo.create_pull(base="main", head="main", title="T"))[0] == 422


def test_mergeable_is_null_until_it_is_worked_out_and_again_after_a_push(
    double: GitHubDouble, repo: Repository
) -> None:
    double.open_pull(REPO, "work")
    assert [repo.get_pull(1).mergeable for _ in range(2)] == [None, True]
    double.commit(REPO, "work", {"a.txt": "mine\n"})
    double.commit(REPO, "main", {"a.txt": "theirs\n"})
    assert [repo.get_pull(1).mergeable for _ in range(2)] == [None, False]
    assert refusal(lambda: repo.get_pull(1).merge(merge_method="squash")) == (405, "Pull Request is not mergeable")


def test_a_squash_merge_is_one_real_commit_on_the_base(double: GitHubDouble, repo: Repository) -> None:
    pull = repo.create_pull(base="main", head="work", title="T")
    base = double.head(REPO, "main")
    merged = pull.merge(sha=pull.head.sha, merge_method="squash", commit_title="Squashed")
    assert merged.sha == double.head(REPO, "main")
    commit = repo.get_commit(merged.sha)
    assert ([one.sha for one in commit.parents], commit.commit.message.strip()) == ([base], "Squashed")
    assert repo.get_pull(1).merged


def test_a_merge_is_refused_for_a_draft_and_for_a_head_that_moved(double: GitHubDouble, repo: Repository) -> None:
    pull = repo.create_pull(base="main", head="work", title="T", draft=True)
    assert refusal(lambda: pull.merge(merge_method="squash")) == (405, "Pull Request is still a draft")
    pull.mark_ready_for_review()
    double.commit(REPO, "work", {"c.txt": "three\n"})
    assert refusal(lambda: pull.merge(sha=pull.head.sha, merge_method="squash"))[0] == 409


@pytest.mark.parametrize("ruleset", [False, True])
def test_a_required_check_must_be_green_and_of_its_own_app(
    double: GitHubDouble, repo: Repository, *, ruleset: bool
) -> None:
    double.protect(REPO, "main", checks=(("test", "github-actions"),), ruleset=ruleset)
    pull = repo.create_pull(base="main", head="work", title="T")
    double.check_run(REPO, pull.head.sha, "test", app="somebody-else")
    status, message = refusal(lambda: pull.merge(merge_method="squash"))
    assert status == 405
    assert 'Required status check "test" is expected.' in message
    double.check_run(REPO, pull.head.sha, "test", conclusion="failure")
    assert "is failing" in refusal(lambda: pull.merge(merge_method="squash"))[1]
    double.check_run(REPO, pull.head.sha, "test")
    assert pull.merge(merge_method="squash").merged


def test_reviews_of_people_with_write_access_are_what_counts(double: GitHubDouble, repo: Repository) -> None:
    double.protect(REPO, "main", reviews=1)
    pull = repo.create_pull(base="main", head="work", title="T")
    double.review(REPO, 1, "passer-by")
    assert refusal(lambda: pull.merge(merge_method="squash"))[0] == 405
    double.collaborator(REPO, "ann")
    double.review(REPO, 1, "ann", "CHANGES_REQUESTED", "no")
    assert refusal(lambda: pull.merge(merge_method="squash"))[0] == 405
    double.review(REPO, 1, "ann")
    assert pull.merge(merge_method="squash").merged


def test_a_branch_behind_a_strict_base_is_not_merged(double: GitHubDouble, repo: Repository) -> None:
    double.protect(REPO, "main", checks=(), strict=True)
    pull = repo.create_pull(base="main", head="work", title="T")
    double.commit(REPO, "main", {"c.txt": "three\n"})
    assert refusal(lambda: pull.merge(merge_method="squash"))[0] == 405


def test_protection_is_read_by_admins_and_rules_by_all(double: GitHubDouble, repo: Repository) -> None:
    double.protect(REPO, "main", checks=("ci",))
    double.protect(REPO, "main", checks=(("lint", "github-actions"),), ruleset=True)
    branch = repo.get_branch("main")
    assert refusal(branch.get_required_status_checks)[0] == 404
    owner = client(double, double.token("acme")).get_repo(REPO).get_branch("main")
    assert owner.get_required_status_checks().contexts == ["ci"]
    found = fetch(double, f"/repos/{REPO}/rules/branches/main", double.token("anybody")).json()
    assert found[0]["parameters"]["required_status_checks"] == [{"context": "lint", "integration_id": 15368}]


def test_checks_statuses_and_a_jobs_log_are_read(double: GitHubDouble, repo: Repository, token: str) -> None:
    sha = str(double.head(REPO, "work"))
    old = double.check_run(REPO, sha, "test", conclusion="failure", log="old")
    new = double.check_run(REPO, sha, "test", status="in_progress", log="so far")
    commit = repo.get_commit(sha)
    assert [one.id for one in commit.get_check_runs()] == [new.id]
    assert {one.id for one in commit.get_check_runs(filter="all")} == {old.id, new.id}
    double.finish_check(REPO, new.id, "success", log="all of it")
    answer = fetch(double, f"/repos/{REPO}/actions/jobs/{new.id}/logs", token)
    assert answer.status_code == 302
    assert httpx.get(answer.headers["location"], trust_env=False).text == "all of it"
    double.clock.advance(61)
    assert httpx.get(answer.headers["location"], trust_env=False).status_code == 403
    commit.create_status("pending", context="ci")
    double.status(REPO, sha, "ci", "failure", creator="ann")
    assert commit.get_combined_status().state == "failure"
    assert [one.creator.login for one in commit.get_statuses()] == ["ann", "runner-bot"]


def test_a_reply_to_a_reply_joins_the_thread(double: GitHubDouble, repo: Repository) -> None:
    double.open_pull(REPO, "work")
    first = double.line_comment(REPO, 1, "ann", "why?", path="b.txt", line=1)
    pull = repo.get_pull(1)
    second = pull.create_review_comment_reply(first.id, "because")
    third = pull.create_review_comment_reply(second.id, "really")
    assert (second.in_reply_to_id, third.in_reply_to_id) == (first.id, first.id)
    pull.create_issue_comment("said")
    assert [(one.body, one.user.login) for one in pull.get_issue_comments()] == [("said", "runner-bot")]


def test_a_fork_proposes_and_its_commits_are_under_refs_pull(double: GitHubDouble, repo: Repository) -> None:
    double.fork(REPO, "ann")
    double.commit("ann/widgets", "idea", {"z.txt": "z\n"})
    double.open_pull(REPO, "ann:idea")
    pull = repo.get_pull(1)
    assert (pull.head.repo.full_name, pull.base.repo.full_name, pull.head.label) == ("ann/widgets", REPO, "ann:idea")
    assert pull.merge(merge_method="squash").merged


def test_a_deleted_head_branch_closes_the_pull_request(repo: Repository) -> None:
    repo.create_pull(base="main", head="work", title="T")
    repo.get_git_ref("heads/work").delete()
    assert (repo.get_pull(1).state, repo.get_pull(1).merged) == ("closed", False)
    assert refusal(lambda: repo.get_git_ref("heads/work"))[0] == 404


def test_a_renamed_repository_is_found_under_its_old_name(double: GitHubDouble, token: str, tmp_path: Path) -> None:
    double.rename(REPO, "acme/gadgets")
    assert fetch(double, f"/repos/{REPO}", token).status_code == 301
    assert client(double, token).get_repo(REPO).full_name == "acme/gadgets"
    assert git(tmp_path, "ls-remote", remote(double, token)).returncode == 0


def test_who_may_do_what(double: GitHubDouble, tmp_path: Path) -> None:
    double.add_repo("acme/secret", private=True)
    sha = str(double.head(REPO, "work"))
    assert fetch(double, "/user", "ghp_unknown").status_code == 401
    assert fetch(double, "/repos/acme/secret", double.token("stranger")).status_code == 404
    assert fetch(double, "/repos/acme/secret", double.token("acme")).status_code == 200
    weak = double.token("runner-bot", permissions={"contents": "read"}, repos=(REPO,))
    status, message = refusal(
        lambda: client(double, weak).get_repo(REPO).create_pull(base="main", head="work", title="T")
    )
    assert (status, message) == (403, "Resource not accessible by personal access token")
    strong = double.token("runner-bot")
    deed = client(double, strong).get_repo(REPO)
    assert refusal(lambda: deed.create_check_run("x", sha)) == (403, "You must authenticate via a GitHub App.")
    assert git(tmp_path, "push", remote(double, weak), f"{sha}:refs/heads/x").returncode != 0
    soon = double.token("runner-bot", expires=double.clock.now() + 60)
    assert fetch(double, "/user", soon).status_code == 200
    double.clock.advance(61)
    assert fetch(double, "/user", soon).status_code == 401


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: rsa.RSAPrivateKey) -> str:
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def test_an_app_has_checks_of_its_own_and_a_token_for_an_hour(double: GitHubDouble, key: rsa.RSAPrivateKey) -> None:
    rights = {"checks": "write", "contents": "write", "pull_requests": "write"}
    app = double.add_app("ashigaru", public_pem(key), permissions=rights)
    double.install("ashigaru", "acme", (REPO,))
    double.add_repo("acme/other", private=True)
    auth = github.Auth.AppAuth(app.id, private_pem(key))
    integration = github.GithubIntegration(auth=auth, base_url=double.url, retry=None)
    granted = integration.get_access_token(integration.get_repo_installation("acme", "widgets").id)
    repo = client(double, granted.token).get_repo(REPO)
    sha = str(double.head(REPO, "work"))
    run = repo.create_check_run("ours", sha, status="in_progress")
    run.edit(status="completed", conclusion="success", output={"title": "t", "summary": "s"})
    assert [(one.app.slug, one.conclusion) for one in repo.get_commit(sha).get_check_runs()] == [
        ("ashigaru", "success")
    ]
    assert repo.create_pull(base="main", head="work", title="T").user.login == "ashigaru[bot]"
    status, message = refusal(lambda: repo.get_commit(sha).create_status("success"))
    assert (status, message) == (403, "Resource not accessible by integration")
    assert fetch(double, "/repos/acme/other", granted.token).status_code == 404
    double.clock.advance(3601)
    assert refusal(lambda: repo.get_pull(1)) == (401, "Bad credentials")


def test_a_jwt_of_another_key_is_refused(double: GitHubDouble, key: rsa.RSAPrivateKey) -> None:
    app = double.add_app("ashigaru", public_pem(key), permissions={})
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    auth = github.Auth.AppAuth(app.id, private_pem(other))
    integration = github.GithubIntegration(auth=auth, base_url=double.url, retry=None)
    assert refusal(integration.get_app)[0] == 401


def test_an_unchanged_answer_costs_nothing(double: GitHubDouble, token: str) -> None:
    first = fetch(double, f"/repos/{REPO}", token)
    again = fetch(double, f"/repos/{REPO}", token, If_None_Match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    assert double.requests[-1].conditional


def test_lists_come_in_pages(double: GitHubDouble, repo: Repository) -> None:
    double.open_pull(REPO, "work")
    for number in range(65):
        double.comment(REPO, 1, "ann", str(number))
    assert [one.body for one in repo.get_pull(1).get_issue_comments()] == [str(number) for number in range(65)]
    assert double.count("GET", r"/repos/acme/widgets/issues/1/comments") == 3


def test_a_used_up_allowance_is_refused_until_its_reset(double: GitHubDouble, token: str) -> None:
    double.allow(token, remaining=1)
    assert fetch(double, "/user", token).status_code == 200
    answer = fetch(double, "/user", token)
    assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (403, "0")
    double.clock.advance(3601)
    assert fetch(double, "/user", token).status_code == 200


@pytest.mark.parametrize(("how", "made"), [(How.ERROR_BEFORE, 0), (How.ERROR_AFTER, 1)])
def test_a_502_comes_before_or_after_the_write(double: GitHubDouble, repo: Repository, how: How, made: int) -> None:
    double.fail("POST", PULLS, how)
    with pytest.raises(github.GithubException) as caught:
        repo.create_pull(base="main", head="work", title="T")
    assert caught.value.status == 502
    assert repo.get_pulls().totalCount == made
    assert double.count("POST", PULLS, landed=True) == made


@pytest.mark.parametrize(("how", "made"), [(How.CUT_BEFORE, 0), (How.CUT_AFTER, 1)])
def test_a_connection_is_cut_before_or_after_the_write(double: GitHubDouble, token: str, how: How, made: int) -> None:
    double.fail("POST", PULLS, how)
    asked = {"title": "T", "base": "main", "head": "work"}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(
            f"{double.url}{PULLS}", json=asked, headers={"Authorization": f"token {token}"}, trust_env=False, timeout=10
        )
    assert len(fetch(double, PULLS, token).json()) == made


def test_a_read_may_be_stale(double: GitHubDouble, token: str) -> None:
    double.fail("GET", PULLS, How.STALE, times=1)
    double.open_pull(REPO, "work")
    assert [len(fetch(double, PULLS, token).json()) for _ in range(2)] == [0, 1]


def test_a_limit_says_when_to_come_back(double: GitHubDouble, token: str) -> None:
    double.fail("GET", "/user", How.SECONDARY_LIMIT, retry_after=7, status=429)
    answer = fetch(double, "/user", token)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert "secondary rate limit" in answer.json()["message"]


@pytest.mark.parametrize("length", ["Content-Length: 90", "Transfer-Encoding: chunked"])
def test_a_request_whose_sender_dies_before_its_body_does_nothing(
    double: GitHubDouble, repo: Repository, token: str, length: str
) -> None:
    pull = repo.create_pull(base="main", head="work", title="T")
    where = urlsplit(double.url)
    head = f"PUT {where.path}/repos/{REPO}/pulls/1/merge HTTP/1.1\r\nAuthorization: Bearer {token}\r\n{length}\r\n\r\n"
    with socket.create_connection((where.hostname, where.port), timeout=10) as line:
        line.sendall(head.encode())
        line.shutdown(socket.SHUT_WR)
        assert line.recv(100) == b""
    assert not repo.get_pull(pull.number).merged


def test_an_answer_may_be_cut_short_or_be_a_page(double: GitHubDouble, token: str) -> None:
    double.fail("GET", "/user", How.TRUNCATED)
    with pytest.raises(httpx.RemoteProtocolError):
        fetch(double, "/user", token)
    double.fail("GET", "/user", How.HTML)
    assert fetch(double, "/user", token).text.startswith("<!DOCTYPE html>")


def test_a_held_answer_waits_for_the_test(double: GitHubDouble, token: str) -> None:
    fault = double.fail("GET", "/user", How.HELD_BEFORE)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{double.url}/user", headers={"Authorization": f"token {token}"}, trust_env=False, timeout=0.05)
    assert fault.reached.is_set()
    fault.released.set()


def test_events_are_posted_and_signed(double: GitHubDouble) -> None:
    pull = double.open_pull(REPO, "work")
    double.check_run(REPO, pull.head_sha, "test")
    double.review(REPO, 1, "ann", body="fine")
    double.line_comment(REPO, 1, "ann", "why?", path="b.txt", line=1)
    double.comment(REPO, 1, "ann", "hello")
    double.status(REPO, pull.head_sha, "ci", "success", creator="ann")
    double.close(REPO, 1)
    events = list(double.state.events)
    assert {one.name for one in events} == EVENTS
    for one in events:
        body = hooks.payload(double.state, hooks.Links(double.origin, ""), one)
        signature = hooks.headers(one.name, body, "dummy")["X-Hub-Signature-256"]
        assert is_signed(b"dummy", body, signature)
    # The double answers its own address with a 404; what matters is that each was posted.
    assert [name for name, _ in double.deliver(double.origin, "dummy")] == [one.name for one in events]
