"""Every setting there is. The only place that reads the environment.

`ASHIGARU_*` variables, and the credentials under the names their makers gave them. For each secret `NAME_FILE`
(a path) beats `NAME`. A frozen value: nothing changes after start.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import re
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import NoDecode, SettingsConfigDict, SettingsError

from mcp_ashigaru.prices import DEFAULT_LADDER, DEFAULT_PRICES, Price
from mcp_ashigaru.settings_faults import ConfigError, refuse_an_unclear_identity, sentence
from mcp_ashigaru.settings_house import HouseSettings
from mcp_ashigaru.settings_sandbox import SandboxSettings
from runner.admission import RunLimits
from runner.model import Bounds, Tier

__all__ = [
    "ConfigError",
    "Settings",
    "environment_with",
    "known_variables",
    "load_settings",
    "secret_file",
    "variable_of",
]

_LOG: Final = logging.getLogger(__name__)
_PREFIX: Final = "ASHIGARU_"
_MAX_STATE_DIR: Final = 70
# What the tests and the set-up are told; none of it is for the daemon.
_NOT_OURS: Final = ("ASHIGARU_TEST_", "ASHIGARU_REQUIRE_")


def _listed(value: Any) -> Any:
    """Accept `a,b c` beside a JSON list."""
    if isinstance(value, str):
        text = value.strip()
        return json.loads(text) if text.startswith("[") else [part for part in text.replace(",", " ").split() if part]
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


def _state_home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


class Settings(SandboxSettings, HouseSettings):
    """The daemon's configuration, each field with its meaning and its unit."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    state_dir: Path = Field(default_factory=lambda: _state_home() / "ashigaru")
    """Everything the daemon keeps; at most 70 characters, because Unix sockets live below it."""
    host: str = "127.0.0.1"
    port: int = Field(default=8020, ge=0, le=65535)
    public_url: str | None = None
    """How a person's browser reaches the daemon; default http://host:port."""
    allowed_hosts: Names = ()
    """Host header values accepted besides loopback and `host`, each `name` or `name:port`; needed off loopback."""
    mcp_token: SecretStr | None = None
    """The operator's bearer token, with every scope. Off loopback this or one of `mcp-ashigaru token` is needed."""
    host_id: str = Field(default_factory=lambda: socket.gethostname().split(".")[0].lower() or "host")
    slots: int = Field(default=5, ge=1, le=128)
    database_url: str | None = None
    """SQLAlchemy URL of the records; default SQLite in the state directory."""
    engine_database_url: str | None = None
    """URL of the durable engine's tables; default SQLite in the state directory."""
    podman_url: str | None = None
    """Podman's API socket, `unix:///…`; default: one of our own, started with a private configuration."""
    podman_dir: Path = Field(default_factory=lambda: _state_home() / "ashigaru")
    """Below it our own podman keeps its configuration and images, where no `podman_url` is set."""
    agent_image: str = "localhost/ashigaru/agent:latest"
    relay_image: str = "localhost/ashigaru/relay:latest"
    gate_image: str = "localhost/ashigaru/gate:latest"
    forge: Literal["local", "github"] = "local"
    """Where repositories and pull requests live."""
    github_url: str = "https://api.github.com"
    """Root of the forge's REST API; GitHub Enterprise: `https://<host>/api/v3`."""
    github_token: SecretStr | None = None
    """The daemon's token on GitHub; either this or an App."""
    github_app_id: str | None = None
    """Id, or client id, of the GitHub App that the daemon is."""
    github_app_key_file: Path | None = None
    """File with the App's private key, in PEM."""
    github_webhook_secret: SecretStr | None = None
    """What GitHub signs its webhooks with."""
    service_images: Names = ()
    """Patterns of local images that a repository's gate file may have run as services; empty: none."""
    repos: Names = ()
    """Repositories that tickets may name; empty: every repository of the forge."""
    model_upstream: str = "anthropic"
    """`anthropic`, `record:<file>` or `replay:<file>`."""
    model_url: str = "https://api.anthropic.com"
    anthropic_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("ANTHROPIC_API_KEY", "anthropic_api_key")
    )
    claude_code_oauth_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("CLAUDE_CODE_OAUTH_TOKEN", "claude_code_oauth_token")
    )
    ladder: tuple[Tier, ...] = DEFAULT_LADDER
    prices: dict[str, Price] = DEFAULT_PRICES
    bounds: Bounds = Bounds()
    run_limits: RunLimits = RunLimits()
    """How many runs there may be of a repository and of a caller."""
    repo_day_micro_usd: int = Field(default=0, ge=0)
    """What the runs of one repository may cost in a UTC day, together, in micro-dollars; 0: no bound."""
    day_micro_usd: int = Field(default=0, ge=0)
    """What all runs may cost in a UTC day, in micro-dollars; 0: no bound."""
    commit_name: str = "mcp-ashigaru"
    commit_email: str = "ashigaru@localhost"
    fleet_file: Path | None = None
    """The operator's rules for each repository; default `fleet.toml` in the state directory, if it is there."""
    setup_egress: Names = ()
    """`host:port` pairs that a gate's set-up step may reach; empty: none."""
    setup_private_hosts: Names = ()
    """Hosts among them that may resolve to a private address (a mirror on the operator's network)."""
    setup_environment: dict[str, str] = Field(default_factory=dict)
    """Extra environment for set-up steps, for example an index URL. Never a secret: `podman inspect` shows it."""
    setup_ca_bundle: Path | None = None
    """CA bundle shown to set-up steps."""
    watch_s: float = Field(default=20, ge=0.05, le=3600)
    """How often a pull request is looked at whose checks are running; one that waits for a person is asked less."""
    ci_trusted: Names = ("github-actions", "operator")
    """Patterns of the sources whose checks count: an app's slug, or `status:<login>` for commit statuses."""
    ci_workflows: Names = ()
    """Patterns of the workflow files whose checks count; empty: every workflow of a trusted source."""
    ci_grace_s: float | None = Field(default=None, ge=0, le=3600)
    """How long checks have to register after a push; default 90 on GitHub, 0 on the local forge."""
    ci_wait_s: float = Field(default=6 * 3600, ge=1, le=7 * 86400)
    """How long checks have to end; after that a person has to look."""
    review_settle_s: float = Field(default=30, ge=0, le=3600)
    """How long after a reviewer's last remark the round that takes it up begins."""
    relay_hold_s: int = Field(default=300, ge=1, le=3600)
    """How long the relay holds a request while the daemon is away."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("ladder")
    @classmethod
    def _ladder_is_climbable(cls, ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
        names = [tier.name for tier in ladder]
        if not names or len(set(names)) != len(names):
            raise ValueError("must hold at least one tier, and each tier its own name")
        wrong = [tier.name for tier in ladder if tier.effort not in {"low", "medium", "high", "xhigh", "max"}]
        if wrong:
            raise ValueError(f"must give tier {wrong[0]} an effort of low, medium, high, xhigh or max")
        if faults := [f"{tier.name} {fault}" for tier in ladder if (fault := tier.watchdogs.fault())]:
            raise ValueError(f"must give tier {faults[0]}")
        return ladder

    @field_validator("github_url")
    @classmethod
    def _github_url_is_a_root(cls, url: str) -> str:
        parts = urlsplit(url)
        plain = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"})
        if not plain or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("must be an https address without a user name, a query or a fragment")
        return url.rstrip("/")

    @property
    def url(self) -> str:
        """Base URL of this daemon as people reach it, without a trailing slash."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def local_url(self) -> str:
        """Base URL at which this machine itself reaches the daemon, without a trailing slash."""
        here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - recognised, not bound
        return f"http://{f'[{here}]' if ':' in here else here}:{self.port}"

    @property
    def bearer(self) -> str | None:
        """The token that /mcp wants."""
        return None if self.mcp_token is None else self.mcp_token.get_secret_value()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the daemon."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")


_SECRETS = {
    "mcp_token": "ASHIGARU_MCP_TOKEN",
    "anthropic_api_key": "ANTHROPIC_API_KEY",
    "claude_code_oauth_token": "CLAUDE_CODE_OAUTH_TOKEN",
    "github_token": "ASHIGARU_GITHUB_TOKEN",
    "github_webhook_secret": "ASHIGARU_GITHUB_WEBHOOK_SECRET",
}


def variable_of(field: str) -> str:
    """The environment variable that sets a field."""
    return _SECRETS.get(field, f"{_PREFIX}{field.upper()}")


def known_variables() -> frozenset[str]:
    """Every variable that is read here."""
    files = {f"{variable}_FILE" for variable in _SECRETS.values()}
    return frozenset({variable_of(field) for field in Settings.model_fields} | files)


def environment_with(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process of our own: ours, with `changes`."""
    return {**os.environ, **changes}


def secret_file(variable: str) -> Path | None:
    """The file that holds the secret of that variable, where it comes from one."""
    path = os.environ.get(f"{variable}_FILE")
    return Path(path).expanduser() if path else None


def _secrets_from_files() -> dict[str, SecretStr]:
    found = {}
    for field, variable in _SECRETS.items():
        if path := secret_file(variable):
            try:
                text = path.read_text(encoding="utf-8").strip()
                mode = stat.S_IMODE(path.stat().st_mode)
            except (OSError, UnicodeDecodeError) as exc:
                raise ConfigError(
                    f"{variable}_FILE names a file that cannot be read; correct the path or its mode."
                ) from exc
            if not text:
                raise ConfigError(f"{variable}_FILE names a file that is empty; put the secret in it.")
            if mode & 0o077:
                _LOG.warning("The file of %s_FILE can be read by others; give it mode 0600.", variable)
            found[field] = SecretStr(text)
    return found


def _refuse_unknown_variables() -> None:
    known = known_variables()
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and not name.startswith(_NOT_OURS) and name.upper() not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            cure = f"did you mean {near[0]}?" if near else "see docs/operate.md for those there are."
            raise ConfigError(f"{name} is no setting; {cure}")


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; `overrides` beat the environment. Raises ConfigError with one sentence."""
    _refuse_unknown_variables()
    try:
        settings = Settings(**{**_secrets_from_files(), **overrides})
    except ValidationError as exc:
        raise ConfigError(sentence(exc, variable_of)) from exc
    except SettingsError as exc:
        named = re.search(r'field "(\w+)"', str(exc))
        variable = variable_of(named.group(1)) if named else "A setting"
        raise ConfigError(f"{variable} is wrong: it is not valid JSON; docs/operate.md says what it takes.") from exc
    if settings.forge == "github":
        refuse_an_unclear_identity(
            token=settings.github_token is not None,
            app=settings.github_app_id is not None,
            key=settings.github_app_key_file is not None,
        )
    if len(str(settings.state_dir.absolute())) > _MAX_STATE_DIR:
        raise ConfigError(
            f"ASHIGARU_STATE_DIR is too long for the sockets below it; use at most {_MAX_STATE_DIR} characters."
        )
    return settings
