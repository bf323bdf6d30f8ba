"""What a gate's script does with the sandbox's places, and with what test runners leave."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gates.ecosystem import ENV, OUT, WORKSPACE
from gates.evidence import CaseOutcome, JUnit
from gates.plan import setup_script, shell_script
from gates.reports import read_report
from tests.fakes.gate_plans import GO, GRADLE, MAVEN, RUST, planned

DATA = Path(__file__).parents[1] / "data" / "reports"


def run(files: Mapping[str, str | bytes], root: Path, programs: Mapping[str, str]) -> tuple[int, str, Path]:
    """The gate's script with the sandbox's places below `root` and shell scripts for programs; and what came."""
    made = planned(files)
    for name in ("bin", "work", "env", "out", "tmp"):
        (root / name).mkdir(exist_ok=True)
    for name, text in programs.items():
        (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (root / "bin" / name).chmod(0o755)
    script = shell_script(made, made.gates[0])
    for there, here in (("/tmp", "tmp"), (WORKSPACE, "work"), (OUT, "out"), (ENV, "env")):  # noqa: S108 - inside
        script = script.replace(there, str(root / here))
    done = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": f"{root}/bin:{os.defpath}", "DATA": str(DATA)},
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert made.gates[0].junit is not None
    return done.returncode, done.stdout, root / "out" / made.gates[0].junit


@pytest.mark.parametrize("status", [0, 1, 3])
def test_a_gates_status_is_its_test_runners_and_its_report_what_that_left(tmp_path: Path, status: int) -> None:
    go, cargo = f'cat "$DATA/go-test.json"; exit {status}', f'cat "$DATA/cargo-test.txt"; exit {status}'
    mvn = (
        f"mkdir -p a/target/surefire-reports; echo '<testsuite/>' >a/target/surefire-reports/TEST-a.xml; exit {status}"
    )
    gradle = f"mkdir -p build/test-results/test; echo '<testsuite/>' >build/test-results/test/TEST-a.xml; exit {status}"
    cases = ((GO, {"go": go}), (RUST, {"cargo": cargo}), (MAVEN, {"mvn": mvn}), (GRADLE, {"gradle": gradle}))
    for number, (files, programs) in enumerate(cases):
        (tmp_path / str(number)).mkdir()
        code, _, report = run(files, tmp_path / str(number), programs)
        assert code == status
        assert isinstance(read_report(report.read_bytes()), JUnit)


def test_gos_report_leaves_out_whose_turn_it_is_and_nothing_else(tmp_path: Path) -> None:
    lines = (
        '{"Action":"run","Package":"p","Test":"T"}',
        '{"Action":"pause","Package":"p","Test":"T"}',
        r'{"Action":"output","Package":"p","Test":"T","Output":"=== PAUSE T\n"}',
        r'{"Action":"output","Package":"p","Test":"T","Output":"said \"Action\":\"pause\"\n"}',
        '{"Action":"fail","Package":"p","Test":"T"}',
    )
    (tmp_path / "told").write_text("\n".join(lines), encoding="utf-8")
    _, _, report = run(GO, tmp_path, {"go": f"cat {tmp_path}/told"})
    assert report.read_text(encoding="utf-8").splitlines() == [lines[0], *lines[3:]]


def test_what_cargo_says_of_a_build_that_failed_is_printed(tmp_path: Path) -> None:
    code, output, _ = run(RUST, tmp_path, {"cargo": "echo 'error: no such thing' >&2; exit 101"})
    assert (code, output) == (101, "error: no such thing\n")


@pytest.mark.parametrize(
    ("files", "program", "where"),
    [(MAVEN, "mvn", "target/surefire-reports"), (GRADLE, "gradle", "build/test-results/test")],
)
def test_reports_that_the_tree_brings_along_are_none(
    tmp_path: Path, files: dict[str, str], program: str, where: str
) -> None:
    planted = tmp_path / "work" / "sub" / where
    planted.mkdir(parents=True)
    (planted / "TEST-a.xml").write_text('<testsuite><testcase name="planted"/></testsuite>', encoding="utf-8")
    _, _, report = run(files, tmp_path, {program: "exit 0"})
    assert read_report(report.read_bytes()) == JUnit(cases=())


def test_java_reports_are_gathered_in_order_without_declarations(tmp_path: Path) -> None:
    def one(name: str, inside: str) -> str:
        head = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<testsuite>\n  <properties>\n    <property name="a" value="b"/>\n'
        )
        return f"{head}  </properties>\n  <testcase name='{name}'>{inside}</testcase>\n</testsuite>"

    where = tmp_path / "reports"
    where.mkdir()
    (where / "TEST-b.xml").write_text(one("b", "<failure>no</failure>"), encoding="utf-8")
    (where / "TEST-a.xml").write_text(one("a", ""), encoding="utf-8")
    mvn = f"mkdir -p 'my module/target/surefire-reports'; cp {where}/* 'my module/target/surefire-reports'; exit 1"
    _, _, report = run(MAVEN, tmp_path, {"mvn": mvn})
    told = read_report(report.read_bytes())
    assert isinstance(told, JUnit)
    assert [(case.name, case.outcome) for case in told.cases] == [
        ("a", CaseOutcome.PASSED),
        ("b", CaseOutcome.FAILED),
    ]
    assert b"property " not in report.read_bytes()


def test_what_was_set_up_for_cargo_is_linked_into_a_home_that_can_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "env" / "cargo" / "registry").mkdir(parents=True)
    code, output, _ = run(RUST, tmp_path, {"cargo": 'touch "$CARGO_HOME/.lock" && readlink "$CARGO_HOME/registry"'})
    assert (code, output) == (0, f"{tmp_path}/env/cargo/registry\n")


def test_what_was_set_up_for_maven_is_a_repository_of_links(tmp_path: Path) -> None:
    (tmp_path / "env" / "m2" / "a").mkdir(parents=True)
    (tmp_path / "env" / "m2" / "a" / "a.jar").write_bytes(b"")
    writable = tmp_path / "tmp" / "m2" / "a"
    code, output, _ = run(MAVEN, tmp_path, {"mvn": f"touch {writable}/new; readlink {writable}/a.jar"})
    assert (code, output) == (0, f"{tmp_path}/env/m2/a/a.jar\n")


def test_every_set_up_is_a_script_that_a_shell_can_read() -> None:
    more = {"go.mod": "require b v1\n", "Cargo.toml": '[dependencies]\nb = "1"\n'}
    for files in ({**GO, **RUST, **MAVEN, **more}, GRADLE):
        made = planned(files)
        assert made.setup is not None
        for text in (setup_script(made, made.setup), *made.setup.commands):
            subprocess.run(["sh", "-n", "-c", text], check=True, timeout=10)
