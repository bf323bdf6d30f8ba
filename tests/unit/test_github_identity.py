"""Who the daemon is on GitHub: by a token or as an App, and where its credential may go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from runner.adapters.github_auth import PERMISSIONS
from runner.adapters.github_forge import GithubForge, github_forge
from runner.adapters.github_house import git_root
from runner.adapters.github_line import Credential
from runner.errors import ForgeDown, UnknownRepo
from runner.remarks import RemarkKind
from tests.contract.forge_rig import REPO, draft
from tests.contract.github_failing import Failing, failing
from tests.contract.github_rig import BOT, SECRET, add_repo
from tests.fakes.github import talk_routes
from tests.fakes.github.auth import Kind, Token
from tests.fakes.github.world import App, Installation

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
TOKENS = "/app/installations/[0-9]+/access_tokens"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Failing]:
    with failing(tmp_path) as made:
        yield made


def as_app(hub: Failing, **permissions: str) -> GithubForge:
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    world = hub.state.world
    world.apps["ashigaru"] = App(id=77, slug="ashigaru", public_key=public.decode(), permissions=PERMISSIONS)
    world.user("ashigaru[bot]")
    world.installations[5] = Installation(
        id=5, app_id=77, account="acme", permissions={**PERMISSIONS, "administration": "write", **permissions}
    )
    return github_forge(hub.url, hub.clock, app_id="77", app_key=PEM)


def password(forge: GithubForge, repo: str = REPO) -> str:
    secret = forge.remote(repo).password
    assert secret is not None
    return secret


def test_an_app_works_with_a_token_for_one_repository_with_the_least_permissions(hub: Failing) -> None:
    forge = as_app(hub)
    other = add_repo(hub.state, "acme/other", hub.work)
    token = hub.state.tokens[password(forge)]
    assert (token.kind, token.repos) == (Kind.INSTALLATION, frozenset({hub.repo.id}))
    assert token.permissions == PERMISSIONS
    assert hub.state.tokens[password(forge, "acme/other")].repos == frozenset({other.id})
    assert "administration" not in PERMISSIONS


def test_an_app_opens_says_and_knows_its_own_words(hub: Failing) -> None:
    forge = as_app(hub)
    hub.branch("work", a="changed\n")
    number = forge.open_pull(draft(labels=("ashigaru",))).number
    for _ in range(2):
        forge.say(REPO, number, "k", "Done.")
    assert [one.user for one in hub.repo.comments.values()] == ["ashigaru[bot]"]
    assert forge.remarks(REPO, number) == ()


def test_a_token_is_asked_for_once_and_renewed_before_ten_minutes_are_left(hub: Failing) -> None:
    forge = as_app(hub)
    first = password(forge)
    assert password(forge) == first
    assert len(hub.asked("POST", TOKENS)) == 1
    hub.state.clock.advance(3600 - 610)
    assert password(forge) == first
    hub.state.clock.advance(20)
    second = password(forge)
    assert second != first
    expires = hub.state.tokens[second].expires
    assert expires is not None
    assert expires - hub.clock.now() > 600


def test_a_token_that_was_revoked_is_replaced(hub: Failing) -> None:
    forge = as_app(hub)
    del hub.state.tokens[password(forge)]
    assert forge.default_branch(REPO) == "main"


def test_a_repository_without_the_app_is_unknown(hub: Failing) -> None:
    add_repo(hub.state, "elsewhere/widgets", hub.work)
    with pytest.raises(UnknownRepo, match="install the App"):
        as_app(hub).default_branch("elsewhere/widgets")


def test_an_app_that_was_not_given_a_permission_says_so(hub: Failing) -> None:
    with pytest.raises(ForgeDown, match="permissions"):
        as_app(hub, contents="read").default_branch(REPO)


@pytest.mark.parametrize("key", ["", "no key", PEM[:200]])
def test_a_key_that_is_none_is_told_with_its_cure(hub: Failing, key: str) -> None:
    with pytest.raises(ForgeDown, match="ASHIGARU_GITHUB_APP_KEY_FILE") as told:
        github_forge(hub.url, hub.clock, app_id="77", app_key=key).check()
    assert "\n" not in str(told.value)


def test_a_credential_that_is_not_accepted_is_told_and_not_tried_again(hub: Failing) -> None:
    forge = github_forge(hub.url, hub.clock, token="ghp_old")
    with pytest.raises(ForgeDown, match="renew") as told:
        forge.default_branch(REPO)
    assert told.value.retry_after_s >= 1800
    assert "ghp_old" not in str(told.value)
    assert len(hub.asked()) == 1


def test_a_permission_that_is_lacking_is_told_and_not_tried_again(hub: Failing) -> None:
    hub.branch("work", a="changed\n")
    read = dict.fromkeys(PERMISSIONS, "read")
    hub.state.tokens["github_pat"] = Token(kind=Kind.FINE_GRAINED, login=BOT, permissions=read, label=BOT)
    forge = github_forge(hub.url, hub.clock, token="github_pat")
    with pytest.raises(ForgeDown, match="not permit") as told:
        forge.open_pull(draft())
    assert told.value.retry_after_s >= 1800
    assert len(hub.asked("POST")) == 1


def test_a_credential_is_never_shown() -> None:
    assert "s3cret" not in repr(Credential(kind="token", secret="s3cret", owner="o"))


@pytest.mark.parametrize(
    ("api", "git"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://ghe.example/api/v3", "https://ghe.example"),
        ("https://git.example:8443/api/v1", "https://git.example:8443"),
        ("http://127.0.0.1:99/api/v3", "http://127.0.0.1:99"),
    ],
)
def test_git_is_where_the_configured_api_is(api: str, git: str) -> None:
    assert git_root(api) == git


def test_the_clone_address_is_not_what_an_answer_says(hub: Failing) -> None:
    remote = hub.forge.remote(REPO)
    assert (remote.url, remote.username, remote.password) == (f"{hub.origin}/{REPO}.git", "x-access-token", SECRET)


def test_a_run_under_way_goes_on_when_its_repository_is_renamed(hub: Failing) -> None:
    hub.branch("work", a="changed\n")
    number = hub.forge.open_pull(draft()).number
    hub.state.world.moved[REPO] = hub.repo.id
    hub.repo.full_name = "acme/gadgets"
    hub.forge.say(REPO, number, "k", "Done.")
    assert hub.forge.open_pull(draft(title="Better")).number == number
    assert len(hub.repo.comments) == 1
    with pytest.raises(UnknownRepo, match="acme/gadgets"):
        hub.forge.default_branch(REPO)


def test_a_run_under_way_goes_on_when_its_repository_is_renamed_for_an_app_too(hub: Failing) -> None:
    first = as_app(hub)
    hub.branch("work", a="changed\n")
    number = first.open_pull(draft()).number
    add_repo(hub.state, "acme/other", hub.work)
    hub.state.world.moved[REPO] = hub.repo.id
    hub.repo.full_name = "acme/gadgets"
    for forge in (first, as_app(hub)):
        forge.say(REPO, number, "k", "Done.")
        token = hub.state.tokens[password(forge)]
        assert (token.repos, token.permissions) == (frozenset({hub.repo.id}), PERMISSIONS)
    assert len(hub.repo.comments) == 1


def test_the_name_s_case_is_no_renaming(hub: Failing) -> None:
    assert hub.forge.default_branch("ACME/Widgets") == "main"


def test_a_person_whose_token_the_daemon_has_is_listened_to_but_for_what_the_daemon_said(hub: Failing) -> None:
    hub.branch("work", a="changed\n")
    number = hub.forge.open_pull(draft()).number
    hub.forge.say(REPO, number, "k", "Done.")
    with hub.state.lock:
        talk_routes.add_comment(hub.state, hub.repo, number, BOT, "Not quite.")
        talk_routes.add_comment(hub.state, hub.repo, number, "passer-by", "Done.\n\n<!-- ashigaru:k2 -->")
    told = hub.forge.remarks(REPO, number)
    assert [(one.kind, one.author, one.may_ask) for one in told] == [
        (RemarkKind.COMMENT, BOT, True),
        (RemarkKind.COMMENT, "passer-by", False),
    ]


def test_somebody_else_s_marker_does_not_keep_us_silent(hub: Failing) -> None:
    hub.branch("work", a="changed\n")
    number = hub.forge.open_pull(draft()).number
    with hub.state.lock:
        talk_routes.add_comment(hub.state, hub.repo, number, "ann", "<!-- ashigaru:k -->")
    hub.forge.say(REPO, number, "k", "Done.")
    assert [one.user for one in hub.repo.comments.values()] == ["ann", BOT]
