"""Where the records and the local forge are, for the daemon and for the people's commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import Engine, make_url

from mcp_ashigaru.settings import ConfigError, Settings
from mcp_ashigaru.state_dir import forge_secret, make_state_dir
from runner.adapters.forge_store import SqlForgeStore
from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_local import LocalRepositories
from runner.adapters.github_forge import GithubForge, github_forge
from runner.adapters.local_forge import LocalForge
from runner.adapters.sql_engine import migrate, open_engine, probe
from runner.adapters.sql_moments import SqlMoments
from runner.adapters.sql_receipts import ReceiptedRecords, SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_slots import SqlSlots
from runner.adapters.sql_spending import SqlSpending
from runner.adapters.sql_tokens import SqlTokens
from runner.adapters.system_clock import SystemClock
from runner.callers import Tokens, digest_of
from runner.ci import CiPolicy
from runner.errors import RunnerError
from runner.keyring import Keyring
from runner.layout import Layout
from runner.ports import Checkouts, Clock, Forge
from runner.receipted import Giving, ReceiptedCheckouts, ReceiptedForge
from runner.records import Records
from runner.spending import DayBudgets, Spending

_DOCTOR_S: Final = 10.0
# On GitHub checks register some time after a push.
_GRACE_S: Final = {"local": 0.0, "github": 90.0}


def open_forge(settings: Settings) -> LocalForge:
    """The local forge of the state directory, usable with or without a running daemon."""
    make_state_dir(settings.state_dir)
    engine = open_engine(records_url(settings))
    migrate(engine)
    return forge_of(settings, engine)


def open_tokens(settings: Settings) -> Tokens:
    """The tokens that open the daemon, usable with or without a running one."""
    make_state_dir(settings.state_dir)
    engine = open_engine(records_url(settings))
    migrate(engine)
    return SqlTokens(engine)


def keyring_of(settings: Settings, records: Engine, clock: Clock) -> Keyring:
    """What opens the daemon: the operator's token, kept as its digest, and those on record."""
    own = None if settings.bearer is None else digest_of(settings.bearer)
    return Keyring(tokens=SqlTokens(records), clock=clock, operator_digest=own)


def forge_of(settings: Settings, records: Engine) -> LocalForge:
    """The local forge on the records' database."""
    return LocalForge(
        Layout(state_dir=settings.state_dir).forge,
        SqlForgeStore(records),
        base_url=settings.url,
        secret=forge_secret(settings.state_dir),
        git_url=settings.local_url,
    )


def github_of(settings: Settings, clock: Clock, *, deadline_s: float = 90.0) -> GithubForge:
    """GitHub, as the daemon that the settings make it. Asks nothing yet. Raises ConfigError."""
    if settings.github_token is not None:
        token = settings.github_token.get_secret_value()
        return github_forge(settings.github_url, clock, token=token, deadline_s=deadline_s)
    if settings.github_app_id is None or settings.github_app_key_file is None:
        raise ConfigError("GitHub needs a credential: set ASHIGARU_GITHUB_TOKEN_FILE.")
    try:
        key = settings.github_app_key_file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            "ASHIGARU_GITHUB_APP_KEY_FILE names a file that cannot be read; correct the path or its mode."
        ) from exc
    return github_forge(settings.github_url, clock, app_id=settings.github_app_id, app_key=key, deadline_s=deadline_s)


def github_trouble(settings: Settings) -> str | None:
    """What keeps the daemon from GitHub, with its cure: one sentence; "" nothing; None: GitHub is not its forge."""
    if settings.forge != "github":
        return None
    try:
        github_of(settings, SystemClock(), deadline_s=_DOCTOR_S).check()
    except (ConfigError, RunnerError) as exc:
        return str(exc)
    return ""


def spending_of(settings: Settings, records: Engine, clock: Clock) -> SqlSpending:
    """The books on the records' database."""
    budgets = DayBudgets(repo_micro_usd=settings.repo_day_micro_usd, all_micro_usd=settings.day_micro_usd)
    return SqlSpending(records, clock, host=settings.host_id, budgets=budgets)


def moments_of(settings: Settings, records: Engine) -> SqlMoments:
    """The book of this host's moments on the records' database."""
    return SqlMoments(records, settings.host_id)


def slots_of(settings: Settings, records: Engine) -> SqlSlots:
    """The book of this host's slots on the records' database."""
    return SqlSlots(records, host=settings.host_id)


@contextmanager
def open_spending(settings: Settings) -> Iterator[Spending]:
    """The books of the state directory, usable with or without a running daemon."""
    make_state_dir(settings.state_dir)
    engine = open_engine(records_url(settings))
    try:
        migrate(engine)
        yield spending_of(settings, engine, SystemClock())
    finally:
        engine.dispose()


def receipts_of(settings: Settings, records: Engine, clock: Clock) -> SqlReceipts:
    """The host's chain of receipts on the records' database."""
    return SqlReceipts(records, clock, host=settings.host_id, anchors=settings.state_dir / "receipts.anchors")


def try_to_write(records: Engine, receipts: SqlReceipts) -> None:
    """Nothing, where the records and their anchors can be written. Raises RecordsFault."""
    probe(records)
    receipts.anchor()


@contextmanager
def open_receipts(settings: Settings) -> Iterator[SqlReceipts]:
    """The host's chain, usable with or without a running daemon."""
    make_state_dir(settings.state_dir)
    engine = open_engine(records_url(settings))
    try:
        migrate(engine)
        yield receipts_of(settings, engine, SystemClock())
    finally:
        engine.dispose()


@contextmanager
def passing_records(settings: Settings) -> Iterator[Records]:
    """Records without receipts in the state directory, whatever the settings say of a database."""
    engine = open_engine(f"sqlite:///{settings.state_dir}/ashigaru.db")
    try:
        migrate(engine)
        yield SqlRecords(engine)
    finally:
        engine.dispose()


def checkouts_of(settings: Settings) -> GitCheckouts:
    """Mirrors and clean clones below the state directory."""
    root = Layout(state_dir=settings.state_dir).mirrors_and_clones
    return GitCheckouts(root, name=settings.commit_name, email=settings.commit_email)


def local_repositories(settings: Settings) -> LocalRepositories:
    """Copies of this host's own repositories below the state directory."""
    return LocalRepositories(settings.state_dir / "local")


def receipted(
    receipts: SqlReceipts, records: ReceiptedRecords, forge: Forge, checkouts: Checkouts
) -> tuple[Forge, Checkouts]:
    """The forge and the checkouts as all of the daemon has them: none of their deeds goes without its receipt."""

    def run_of_pull(repo: str, pull: int) -> str:
        run = records.run_of_pull(repo, pull)
        return "" if run is None else run.run_id

    giving = Giving(receipts=receipts, run_of_pull=run_of_pull)
    return ReceiptedForge(forge=forge, giving=giving), ReceiptedCheckouts(checkouts=checkouts, giving=giving)


def ci_policy_of(settings: Settings) -> CiPolicy:
    """Whose checks count, and for how long they are waited for."""
    return CiPolicy(
        trusted=settings.ci_trusted,
        workflows=settings.ci_workflows,
        grace_s=_GRACE_S[settings.forge] if settings.ci_grace_s is None else settings.ci_grace_s,
        wait_s=settings.ci_wait_s,
    )


def records_url(settings: Settings) -> str:
    """Where the records are."""
    return settings.database_url or f"sqlite:///{settings.state_dir}/ashigaru.db"


def engine_url(settings: Settings) -> str:
    """Where the durable engine's tables are."""
    return settings.engine_database_url or f"sqlite:///{settings.state_dir}/engine.db"


def records_file(settings: Settings) -> Path | None:
    """The file that the records are in, where they are in one."""
    url = make_url(records_url(settings))
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
