"""Where the records and the local forge are, for the daemon and for the people's commands."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import Engine, make_url

from mcp_ashigaru.settings import Settings
from mcp_ashigaru.state_dir import forge_secret, make_state_dir
from runner.adapters.forge_store import SqlForgeStore
from runner.adapters.local_forge import LocalForge
from runner.adapters.sql_engine import migrate, open_engine
from runner.ci import CiPolicy
from runner.layout import Layout


def open_forge(settings: Settings) -> LocalForge:
    """The local forge of the state directory, usable with or without a running daemon."""
    make_state_dir(settings.state_dir)
    engine = open_engine(records_url(settings))
    migrate(engine)
    return forge_of(settings, engine)


def forge_of(settings: Settings, records: Engine) -> LocalForge:
    """The local forge on the records' database."""
    return LocalForge(
        Layout(state_dir=settings.state_dir).forge,
        SqlForgeStore(records),
        base_url=settings.url,
        secret=forge_secret(settings.state_dir),
        git_url=settings.local_url,
    )


def ci_policy_of(settings: Settings) -> CiPolicy:
    """Whose checks count, and for how long they are waited for."""
    return CiPolicy(
        trusted=settings.ci_trusted,
        workflows=settings.ci_workflows,
        grace_s=0.0 if settings.ci_grace_s is None else settings.ci_grace_s,
        wait_s=settings.ci_wait_s,
    )


def records_url(settings: Settings) -> str:
    """Where the records are."""
    return settings.database_url or f"sqlite:///{settings.state_dir}/ashigaru.db"


def records_file(settings: Settings) -> Path | None:
    """The file that the records are in, where they are in one."""
    url = make_url(records_url(settings))
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
