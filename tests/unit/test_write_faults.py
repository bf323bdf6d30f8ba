"""What cannot be written, at the seams: databases, git, podman's storage, files. Each is told with its cure."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import podman.errors
import pytest
import requests
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from runner.adapters.git_process import GitTask
from runner.adapters.podman_faults import translate
from runner.adapters.sql_engine import migrate, open_engine, probe
from runner.adapters.sql_faults import records_fault, report, trouble
from runner.adapters.sql_moments import SqlMoments
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_schema import day_bills, runs
from runner.adapters.sql_slots import SqlSlots
from runner.adapters.system_clock import SystemClock
from runner.closing import Closing
from runner.errors import CheckoutFault, DiskLow, EngineDown, ForgeDown, RecordsDown, RecordsFault, SandboxFault
from runner.facts import CancelSeen, Close, Fact, Outcome, Prepare, RoundClosed, Step
from runner.files import remove_tree
from runner.layout import Layout
from runner.model import Phase, Remote, RoundInput
from runner.moments import Moment
from runner.receipts import ANCHOR_EVERY, Deed, Kind
from runner.records import RunChange, RunRecord
from runner.rounds import Interrupted
from runner.standstill import Standstill, mending, standing
from runner.timeline import Kept
from tests.fakes.behaviours import exits
from tests.fakes.containers import FakeContainers
from tests.story.house import FakeModel, repository
from tests.unit.test_ladder import INPUT
from tests.unit.test_promotion import RUN

PROJECT = Path(__file__).parents[2]
FULL = "The records cannot be written: the disk is full; free some space."

# Before 3.11.4 a subprocess that gets no pipe leaves open those that it has got (python/cpython#87474).
PYTHONS_OWN = 0 if sys.version_info >= (3, 11, 4) else 12


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_engine(f"sqlite:///{tmp_path}/ashigaru.db")
    migrate(made)
    yield made
    made.dispose()


def full(engine: Engine) -> None:
    """The database may not grow any more: SQLite's own way to say that the disk is full."""

    @sa.event.listens_for(engine, "begin", insert=True)
    def _no_more(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=1")


def grow(engine: Engine) -> None:
    """Write more than there is room for in the pages that are there."""
    rows = [{"day": day, "repo": "x" * 4000, "micro_usd": 1} for day in range(50)]
    with engine.begin() as db:
        db.execute(day_bills.insert(), rows)


# --- databases -----------------------------------------------------------------------------------------------


def test_a_full_disk_is_a_fault_that_passes_and_names_its_cure(engine: Engine) -> None:
    full(engine)
    with pytest.raises(OperationalError) as caught:
        grow(engine)
    fault = records_fault(caught.value, "otherwise")
    assert isinstance(fault, RecordsDown)
    assert str(fault).startswith(FULL)


def test_whoever_wants_to_know_is_told_of_a_full_disk_and_of_no_fault_of_ours(engine: Engine) -> None:
    told: list[str] = []
    report(engine, "The records", told.append)
    with pytest.raises(DBAPIError), engine.begin() as db:
        db.execute(sa.text("select nothing from nowhere"))
    assert told == []
    full(engine)
    with pytest.raises(DBAPIError):
        grow(engine)
    assert [one.startswith(FULL) for one in told] == [True]


def test_a_database_that_another_program_holds_and_one_that_may_only_be_read_pass_too(tmp_path: Path) -> None:
    path = tmp_path / "held.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("create table t (x)")
    holder.execute("begin exclusive")
    impatient = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.OperationalError) as held:
        impatient.execute("select * from t")
    holder.execute("rollback")
    impatient.execute("pragma query_only=1")
    with pytest.raises(sqlite3.OperationalError) as readonly:
        impatient.execute("insert into t values (1)")
    for connection in (holder, impatient):
        connection.close()
    assert "another program holds its file" in (trouble("The records", held.value) or "")
    assert "may only be read" in (trouble("The records", readonly.value) or "")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("53100", "out of disk"),
        ("08006", "cannot be reached"),
        ("57P01", "stopping or starting"),
        ("58030", "disk fails"),
    ],
)
def test_a_postgres_that_is_full_or_away_passes_and_one_that_refuses_does_not(state: str, words: str) -> None:
    class Psycopg(Exception):
        sqlstate: str | None = state

    assert words in (trouble("The records", OperationalError("insert", {}, Psycopg())) or "")
    Psycopg.sqlstate = "23505"
    assert trouble("The records", OperationalError("insert", {}, Psycopg())) is None
    Psycopg.sqlstate = None
    assert "cannot be reached" in (trouble("The records", OperationalError("connect", {}, Psycopg())) or "")


def test_a_row_that_breaks_the_schema_is_no_disk_that_is_full(engine: Engine) -> None:
    with pytest.raises(RecordsFault) as caught:
        SqlRecords(engine).release({"no": "text"})  # type: ignore[arg-type]
    assert not isinstance(caught.value, RecordsDown)


def test_trying_whether_records_can_be_written_leaves_nothing_and_says_when_they_cannot(engine: Engine) -> None:
    probe(engine)
    with engine.begin() as db:
        assert db.execute(sa.select(sa.func.count()).select_from(day_bills)).scalar() == 0
    engine.dispose()

    @sa.event.listens_for(engine, "begin")
    def _read_only(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only=1")

    with pytest.raises(RecordsDown, match="may only be read"):
        probe(engine)


def test_an_anchor_that_could_not_be_written_is_owed_with_the_next_entry(engine: Engine, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    receipts = SqlReceipts(engine, SystemClock(), host="here", anchors=anchors)

    def record(number: int) -> None:
        receipts.record(Deed(kind=Kind.VERDICT, key=f"k{number}", run_id="r-1", detail={}))

    for number in range(1, ANCHOR_EVERY):
        record(number)
    with pytest.raises(RecordsDown, match="anchors cannot be written"):
        record(ANCHOR_EVERY)
    anchors.rmdir()
    record(ANCHOR_EVERY + 1)
    assert [head.number for head in receipts.anchors()] == [ANCHOR_EVERY + 1]
    record(ANCHOR_EVERY + 2)
    assert len(receipts.anchors()) == 1


def test_no_room_for_waits_and_slots_is_a_fault_that_passes(engine: Engine) -> None:
    moments, slots = SqlMoments(engine, "here"), SqlSlots(engine, host="here")
    begun = Moment(utc=1.0, boot="b", awake=1.0, up=1.0)
    with engine.begin() as db:
        db.execute(runs.insert(), [dataclasses.asdict(RUN) | {"run_id": f"run-{number}"} for number in range(1000)])
    full(engine)

    def wait(number: int) -> None:
        moments.keep(Kept(name=f"wait/{number}", seconds=1.0, begun=begun))

    def hold(number: int) -> None:
        slots.hold(f"run-{number}", 1, number, 1.0)

    for deed in (wait, hold):
        with pytest.raises(RecordsDown, match="the disk is full"):
            many(deed)


def many(deed: Callable[[int], None]) -> None:
    for number in range(1000):
        deed(number)


# --- standing still ------------------------------------------------------------------------------------------


def test_a_step_that_could_not_be_written_down_is_done_again_when_it_can_be() -> None:
    standstill, stopping, done = Standstill(), threading.Event(), [0]
    seen: list[str | None] = []

    def carry_out(_round: RoundInput, _step: Step) -> Fact:
        done[0] += 1
        if done[0] < 3:
            raise RecordsDown("The disk is full.")
        return CancelSeen()

    def probe_it() -> None:
        seen.append(standstill.why)
        if len(seen) == 1:
            raise RecordsDown("The disk is still full.")

    mended: list[str | None] = []
    with mending(standstill, probe_it, lambda: mended.append(standstill.why), first_s=0.01):
        fact = standing(carry_out, standstill, stopping)(INPUT, Prepare())
    assert fact == CancelSeen()
    assert done == [3]
    assert seen[:2] == ["The disk is full.", "The disk is still full."]
    assert mended
    assert standstill.why is None


def test_a_daemon_that_leaves_does_not_wait_for_its_disk() -> None:
    stopping = threading.Event()
    stopping.set()

    def carry_out(_round: RoundInput, _step: Step) -> Fact:
        raise RecordsDown("The disk is full.")

    with pytest.raises(Interrupted):
        standing(carry_out, Standstill(), stopping)(INPUT, Prepare())


@pytest.mark.parametrize(
    "fault", [RecordsFault("The engine's database cannot be used."), ZeroDivisionError()], ids=["away", "ours"]
)
def test_what_cannot_be_mended_yet_keeps_it_standing(fault: Exception) -> None:
    standstill, over = Standstill(), threading.Event()
    tries: list[None] = []

    def mend() -> None:
        tries.append(None)
        if len(tries) < 3:
            raise fault
        over.set()

    standstill.begin("The disk is full.")
    with mending(standstill, lambda: None, mend, first_s=0.01):
        assert over.wait(20)
        assert standstill.wait_for(begun=False, timeout_s=20)
    assert len(tries) == 3


# --- git, podman, files --------------------------------------------------------------------------------------

REMOTE = Remote(url="https://forge.example/widgets.git")


@pytest.mark.parametrize(
    ("said", "remote", "fault"),
    [
        ("fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output", REMOTE, DiskLow),
        ("fatal: sha1 file 'index.lock' write error. Out of diskspace", None, DiskLow),
        ("error: unable to create temporary file: Disk quota exceeded", None, DiskLow),
        ("remote: fatal: write error: No space left on device\nerror: unpack failed", REMOTE, ForgeDown),
        ("fatal: unable to create '/x.lock': Read-only file system", REMOTE, CheckoutFault),
        ("error: open objects/1: Too many open files", REMOTE, CheckoutFault),
        ("fatal: read error: Input/output error", None, CheckoutFault),
        ("fatal: unable to access: The requested URL returned error: 503", REMOTE, ForgeDown),
        ("fatal: bad object", None, CheckoutFault),
    ],
)
def test_what_git_says_of_this_hosts_disk_is_not_blamed_on_the_forge(
    said: str, remote: Remote | None, fault: type[Exception]
) -> None:
    raised = GitTask(arguments=("fetch",), deed="fetch", remote=remote).fault("why", said)
    assert type(raised) is fault


def api_error(status: int, text: str) -> podman.errors.APIError:
    answer = requests.Response()
    answer.status_code = status
    return podman.errors.APIError(text, response=answer, explanation=text)


@pytest.mark.parametrize(
    ("raised", "fault", "words"),
    [
        (api_error(500, 'mkdir "/storage/overlay/1": no space left on device'), DiskLow, "storage is full; free some"),
        (api_error(500, "write /x: disk quota exceeded"), DiskLow, "storage is full; free some space"),
        (api_error(500, "crun: cannot fork"), SandboxFault, "its reason was: crun: cannot fork"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), EngineDown, "raise the daemon's LimitNOFILE"),
        (OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)), EngineDown, "see that its service runs"),
        (requests.exceptions.ReadTimeout(), EngineDown, "see that its service runs"),
    ],
)
def test_what_podman_cannot_do_is_told_as_what_it_is(raised: Exception, fault: type[Exception], words: str) -> None:
    told = translate(raised)
    assert type(told) is fault
    assert words in str(told)


@contextmanager
def read_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file can be removed while the block lasts, as on a file system that the kernel has made read-only."""

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        yield


def test_what_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").write_bytes(b"")
    with read_only(monkeypatch), pytest.raises(OSError, match="Read-only file system"):
        remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


class Recorded:
    """Records of one run at work that has nothing else."""

    def __init__(self) -> None:
        self.changes: list[RunChange] = []

    def attempts(self, _run_id: str) -> list[object]:
        return []

    def run(self, run_id: str) -> RunRecord:
        return dataclasses.replace(RUN, run_id=run_id, phase=Phase.GATE, pull=None)

    def change(self, _run_id: str, change: RunChange, _at: float) -> None:
        self.changes.append(change)

    def release(self, _run_id: str) -> None:
        pass


def test_files_that_cannot_be_removed_keep_no_round_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    records = Recorded()
    layout = Layout(state_dir=tmp_path)
    left = layout.run(INPUT.run_id) / "file"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"")
    closing = Closing(
        containers=FakeContainers(lambda _: exits()),
        records=records,  # type: ignore[arg-type]
        clock=SystemClock(),
        layout=layout,
        model=FakeModel(),
        resubmit=lambda _round, _delay: None,
        host="here",
    )
    with read_only(monkeypatch):
        closed = closing.close(INPUT, Close(outcome=Outcome.ESCALATED, reason="A person has to look.", tier=0))
    assert closed == RoundClosed()
    assert [one["phase"] for one in records.changes] == [Phase.ESCALATED]
    assert str(left.parent) in caplog.text


# --- a disk that is really full ------------------------------------------------------------------------------


def own_disk() -> tuple[str, ...]:
    """The command line before one that mounts a disk of its own; nothing where nobody here may."""
    for prefix in (("unshare", "-m"), ("unshare", "-Umr")):
        tried = subprocess.run([*prefix, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
        if tried.returncode == 0:
            return prefix
    return ()


def lived_through(prefix: tuple[str, ...], program: str, *arguments: str) -> dict[str, Any]:
    """What a process came to of which things are taken away that a test cannot lack."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", f"tests.fakes.{program}", *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_every_kind_of_write_says_that_the_disk_is_full_and_works_when_it_is_not(tmp_path: Path) -> None:
    source = repository(tmp_path / "source", {"total.py": "total = 0\n"})
    (tmp_path / "disk").mkdir()
    prefix = own_disk()
    how = "mount" if prefix else "limit"
    told = lived_through(prefix, "small_disk_program", str(tmp_path / "disk"), str(source), how)
    assert set(map(tuple, told["freed"].values())) == {("", "")}
    assert "" not in {name for name, _ in told["full"].values()}
    if prefix:
        said = {
            kind: (name, "full" in text or "No space left on device" in text)
            for kind, (name, text) in told["full"].items()
        }
        assert said == {
            "mirror": ("DiskLow", True),
            "clone": ("DiskLow", True),
            "export": ("OSError", True),
            "commit": ("DiskLow", True),
            "file": ("OSError", True),
            "anchor": ("RecordsDown", True),
        }


# --- no more files -------------------------------------------------------------------------------------------

CURES = ("raise the daemon's LimitNOFILE.", "its rights and LimitNOFILE. It goes on by itself after that.")


def test_every_kind_of_write_says_that_no_more_files_can_be_opened_and_works_when_they_can(tmp_path: Path) -> None:
    source = repository(tmp_path / "source", {"total.py": "total = 0\n"})
    (tmp_path / "state").mkdir()
    told = lived_through((), "few_files_program", str(tmp_path / "state"), str(source))
    none_left = {kind: name for kind, (name, _) in told["few"]["0"].items()}
    assert none_left == {
        "records": "RecordsDown",
        "mirror": "OSError",
        "clone": "OSError",
        "export": "CheckoutFault",
        "commit": "OSError",
        "file": "OSError",
        "anchor": "RecordsDown",
    }
    said = [text for few in told["few"].values() for name, text in few.values() if name]
    assert [text for text in said if not text.endswith(CURES)] == []
    # Between the two there are faults in the middle of a deed, too: nothing is half there, nothing is left open.
    assert {name for name, _ in told["few"]["8"].values()} == {"", "CheckoutFault"}
    assert told["whole"] == ["old", *["{}"] * 4]
    assert set(map(tuple, told["again"].values())) == {("", "")}
    assert told["files"] == ["total.py"]
    assert told["leaked"] <= PYTHONS_OWN


def test_anchors_that_no_file_is_left_for_pass_and_those_of_somebody_else_do_not(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = SqlReceipts(engine, SystemClock(), host="here", anchors=tmp_path / "anchors")
    for number, cure in ((errno.EMFILE, "raise the daemon's LimitNOFILE"), (errno.EACCES, "correct its rights")):

        def refuse(*_args: object, why: int = number, **_options: object) -> str:
            raise OSError(why, os.strerror(why))

        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_text", refuse)
            with pytest.raises(RecordsFault, match=cure) as caught:
                receipts.anchors()
        assert isinstance(caught.value, RecordsDown) is (number == errno.EMFILE)


def test_an_anchor_that_no_file_is_left_for_names_its_cure_and_is_owed(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = SqlReceipts(engine, SystemClock(), host="here", anchors=tmp_path / "anchors")
    receipts.record(Deed(kind=Kind.VERDICT, key="k", run_id="r-1", detail={}))

    def refuse(*_args: object, **_options: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(RecordsDown, match="raise the daemon's LimitNOFILE"):
            receipts.anchor()
    assert receipts.anchors() == ()
    receipts.anchor()
    assert [head.number for head in receipts.anchors()] == [1]
