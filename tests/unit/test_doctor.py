"""What the doctor says of machines that were never seen."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mcp_ashigaru import doctor, host_limits
from mcp_ashigaru.doctor import Question, Token
from mcp_ashigaru.findings import Finding, Level, healthy, render

TOKEN = Token(name="ANTHROPIC_API_KEY", present=True, file=Path("/k"))
GIB = 1024**3


def _info(**host: Any) -> dict[str, Any]:
    usual = {
        "security": {"rootless": True},
        "ociRuntime": {"name": "crun"},
        "cgroupVersion": "v2",
        "cgroupControllers": ["cpu", "memory", "pids"],
    }
    return {"version": {"Version": "5.8.0"}, "host": {**usual, **host}, "store": {"graphDriverName": "overlay"}}


def test_a_rootless_podman_is_fine_and_a_rootful_one_is_not() -> None:
    assert doctor.judge_podman(_info()).level is Level.OK
    assert doctor.judge_podman(_info(security={"rootless": False})).level is Level.FAIL


def test_storage_by_copies_is_a_warning() -> None:
    assert doctor.judge_podman({**_info(), "store": {"graphDriverName": "vfs"}}).level is Level.WARN


V1 = {"cgroupVersion": "v1", "cgroupControllers": []}


@pytest.mark.parametrize(
    ("host", "kernel", "lacking"),
    [
        ({}, "6.1.0-13-amd64", ()),
        ({}, "5.4.0", ()),
        (V1, "6.18.5", ("memory", "cpu")),
        (V1, "5.10.0-28-amd64", ("memory", "cpu", "pids")),
        (V1, "who knows", ("memory", "cpu", "pids")),
        (V1 | {"cgroupControllers": ["memory", "pids", "cpu"]}, "6.1.0", ("memory", "cpu")),
        ({"cgroupControllers": ["memory", "pids"]}, "5.10.0", ("cpu",)),
        ({"cgroupControllers": None}, "6.1.0", ("memory", "cpu")),
    ],
)
def test_limits_that_are_not_enforced_are_never_called_enforced(
    host: dict[str, Any], kernel: str, lacking: tuple[str, ...]
) -> None:
    info = _info(**host)
    assert host_limits.unenforceable(info, kernel) == lacking
    findings = host_limits.judge_limits(info, kernel)
    assert [finding.level for finding in findings].count(Level.WARN) == len(lacking)
    assert all(bool(finding.cure) is (finding.level is Level.WARN) for finding in findings)
    assert all("not enforced" in finding.text for finding in findings if finding.level is Level.WARN)


def test_of_limits_without_podman_nothing_is_said() -> None:
    assert host_limits.judge_limits("gone", "6.1.0") == ()


_GB = 1024**3


@pytest.mark.parametrize(
    ("total", "slots", "level", "cure"),
    [
        (24 * _GB, 3, Level.OK, ""),
        (24 * _GB, 5, Level.WARN, "set ASHIGARU_SLOTS to 3, or lower ASHIGARU_AGENT_MEMORY"),
        (6 * _GB, 1, Level.WARN, "give the host more, or lower ASHIGARU_AGENT_MEMORY"),
    ],
)
def test_slots_that_may_take_more_memory_than_there_is_are_told_with_how_many_fit(
    total: int, slots: int, level: Level, cure: str
) -> None:
    (finding,) = host_limits.judge_memory(_info(memTotal=total), slots, 8 * _GB)
    assert (finding.level, finding.cure.startswith(cure)) == (level, True)
    assert f"{slots} slots may take {slots * 8:.1f} GB at once, the host has {total / _GB:.1f}" in finding.text


@pytest.mark.parametrize("info", ["gone", {}, {"host": {"memTotal": "much"}}])
def test_of_memory_that_podman_does_not_tell_nothing_is_said(info: dict[str, Any] | str) -> None:
    assert host_limits.judge_memory(info, 5, _GB) == ()


def test_sub_ids_must_be_there_in_both_files() -> None:
    held = "other:1:2\nme:100000:65536\n"
    assert doctor.judge_sub_ids("me", held, held).level is Level.OK
    assert doctor.judge_sub_ids("me", held, "other:1:65536\n").level is Level.FAIL
    assert doctor.judge_sub_ids("me", "me:1:1000\n", held).level is Level.FAIL
    assert doctor.judge_sub_ids("me", "me:\nme\nme:x:y", held).level is Level.FAIL


def test_a_token_file_that_others_can_read_is_a_warning() -> None:
    assert doctor.judge_tokens([(TOKEN, 0o640)], needed=True)[0].cure == "chmod 600 /k"
    assert doctor.judge_tokens([(TOKEN, 0o600)], needed=True)[0].level is Level.OK


def test_no_token_is_a_warning_only_where_a_real_model_answers() -> None:
    absent = Token(name="ANTHROPIC_API_KEY", present=False)
    assert doctor.judge_tokens([(absent, None)], needed=True)[0].level is Level.WARN
    assert doctor.judge_tokens([(absent, None)], needed=False)[0].level is Level.OK


@pytest.mark.parametrize(
    ("free", "level"),
    [(5 * GIB, Level.OK), (5 * GIB - 1, Level.WARN), (2 * GIB, Level.WARN), (2 * GIB - 1, Level.FAIL), (0, Level.FAIL)],
)
def test_the_disk_warns_before_it_fails(free: int, level: Level) -> None:
    assert doctor.judge_disk(Path("/s"), free, 2 * GIB).level is level


def test_where_nothing_is_kept_free_no_disk_is_too_full() -> None:
    assert doctor.judge_disk(Path("/s"), 0, 0).level is Level.OK


def test_a_state_path_too_long_for_sockets_fails() -> None:
    assert doctor.judge_state_path(Path("/" + "a" * 69)).level is Level.OK
    assert doctor.judge_state_path(Path("/" + "a" * 70)).level is Level.FAIL
    assert doctor.judge_state_path(Path("/" + "é" * 36)).level is Level.FAIL


def test_every_finding_that_is_not_ok_brings_its_cure_in_the_picture() -> None:
    text = render(
        [
            Finding(level=Level.OK, subject="disk", text="plenty"),
            Finding(level=Level.FAIL, subject="podman", text="gone", cure="install it"),
        ]
    )
    assert text == "ok    disk    plenty\nfail  podman  gone\n              -> install it"


def _question(folder: Path, podman: str, database: Path | None = None) -> Question:
    script = folder / "podman"
    script.write_text(f"#!{sys.executable}\n{podman}\n", encoding="utf-8")
    script.chmod(0o755)
    return Question(
        podman_argv=(str(script),),
        state_dir=folder / "not" / "made" / "yet",
        images=("localhost/ashigaru/gate:latest",),
        tokens=(TOKEN,),
        needs_token=True,
        database=database,
    )


def _of(subject: str, findings: tuple[Finding, ...]) -> Finding:
    return next(finding for finding in findings if finding.subject == subject)


def test_a_whole_diagnosis_is_made_from_what_podman_answers(tmp_path: Path) -> None:
    podman = f"import sys\nif sys.argv[1] == 'info': print({json.dumps(_info())!r})\nelse: sys.exit(1)"
    findings = doctor.diagnose(_question(tmp_path, podman))
    assert _of("podman", findings).text == "5.8.0, rootless, crun, storage overlay"
    assert _of("limits", findings).level is Level.OK
    assert _of("image", findings).cure == "run `make images`"
    assert not healthy(findings)


@pytest.mark.parametrize("podman", ["raise SystemExit('Error: no')", "print('not json')", "print('[]')"])
def test_a_podman_that_does_not_work_is_one_failing_line(tmp_path: Path, podman: str) -> None:
    findings = doctor.diagnose(_question(tmp_path, podman))
    assert _of("podman", findings).level is Level.FAIL
    assert [finding for finding in findings if finding.subject == "limits"] == []


def test_a_missing_podman_is_one_failing_line(tmp_path: Path) -> None:
    question = _question(tmp_path, "")
    (tmp_path / "podman").unlink()
    assert _of("podman", doctor.diagnose(question)).level is Level.FAIL


@pytest.mark.parametrize(("mode", "level"), [("WAL", Level.OK), ("DELETE", Level.WARN)])
def test_the_database_is_read_without_changing_it(tmp_path: Path, mode: str, level: Level) -> None:
    path = tmp_path / "records.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE t (x)")
    before = path.read_bytes()
    assert _of("database", doctor.diagnose(_question(tmp_path, "", path))).level is level
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_fails(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    path.write_bytes(b"not a database at all, but long enough to be read as one" * 20)
    assert _of("database", doctor.diagnose(_question(tmp_path, "", path))).level is Level.FAIL


def test_a_database_that_was_never_made_is_not_made_by_looking(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    assert _of("database", doctor.diagnose(_question(tmp_path, "", path))).level is Level.OK
    assert not path.exists()


def test_a_github_that_refuses_is_told_with_its_cure() -> None:
    assert doctor.judge_github(None) == ()
    (fine,) = doctor.judge_github("")
    assert fine.level is Level.OK
    (bad,) = doctor.judge_github("GitHub does not accept the daemon's credential; renew it.")
    assert (bad.level, bad.cure) == (Level.FAIL, "renew it")
