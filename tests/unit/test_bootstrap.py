"""The shell stages of set-up, on machines made of a PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.images.recipe import CLAUDE_VERSION, GATE_ARCHIVES

PROJECT = Path(__file__).resolve().parents[2]
ORDINARY = (
    "awk bash basename cat comm cp cut env find grep mkdir mktemp mv rm sed sh sha256sum sort tar tee timeout tr xargs"
)
EVERYTHING = ("git", "make", "podman", "runc", "newuidmap", "npm")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A PATH with ordinary tools, the fakes that a test adds, and a log of what was asked of them."""

    bin: Path
    log: Path

    def add(self, name: str, script: str = "exit 0") -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)  # never through a link: what it points to is this machine's own tool
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def lose(self, name: str) -> None:
        (self.bin / name).unlink()

    def says(self, script: str, **extra: str) -> subprocess.CompletedProcess[str]:
        stages = "".join(f". '{PROJECT}/scripts/stages/{name}.sh'; " for name in ("packages", "account", "environment"))
        said = 'say() { echo "$1: $2"; }; fail() { echo "failed: $1" >&2; exit 1; }; '
        home = self.bin.parent / "home"
        worker = f"account_home() {{ echo '{home}'; }}; "
        return subprocess.run(
            [str(self.bin / "bash"), "-c", f"set -euo pipefail; {stages}{said}{worker}{script}"],
            env={"PATH": str(self.bin), "HOME": str(home), "LOG": str(self.log), **extra},
            cwd=self.bin.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )

    @property
    def asked(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""


def _installs(machine: Machine) -> str:
    """A script that does what a package manager would: what was missing is there afterwards."""
    made = " ".join(str(machine.bin / name) for name in EVERYTHING)
    return (
        'echo "$0 $*" >>"$LOG"; case "$*" in *install*) '
        f'for tool in {made}; do rm -f "$tool"; printf "#!/bin/sh\\nexit 0\\n" >"$tool"; chmod +x "$tool"; done;; esac'
    ).replace("chmod", shutil.which("chmod") or "chmod")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An unprivileged account without sudo on a machine that has everything."""
    made = Machine(bin=tmp_path / "bin", log=tmp_path / "log")
    made.bin.mkdir()
    (tmp_path / "home").mkdir()
    for tool in ORDINARY.split():
        (made.bin / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
    made.add("python3", f'exec {sys.executable} "$@"')
    made.add("id", 'case "$1" in -u) echo 1000;; *) echo tester;; esac')
    made.add("usermod", 'echo "usermod $*" >>"$LOG"')
    for tool in (*EVERYTHING, "apt-get"):
        made.add(tool)
    return made


def _stage(target: str, *, sub_ids: bool = True) -> str:
    return f"lacks_sub_ids() {{ {'false' if sub_ids else 'true'}; }}; have_packages {target}"


def test_a_machine_that_has_everything_is_left_alone(machine: Machine) -> None:
    machine.add("apt-get", _installs(machine))
    done = machine.says(_stage("demo"))
    assert (done.returncode, done.stdout) == (0, "packages: already there\n")
    assert machine.asked == ""


def test_without_privilege_one_command_is_printed_and_nothing_is_installed(machine: Machine) -> None:
    machine.add("apt-get", _installs(machine))
    machine.lose("podman")
    done = machine.says(_stage("demo", sub_ids=False))
    commands = [line.strip() for line in done.stderr.splitlines() if line.startswith("  ")]
    assert done.returncode == 1
    assert len(commands) == 1
    for part in ("sudo sh -c", "podman", "uidmap", "runc", "mmdebstrap", "usermod --add-subuids"):
        assert part in commands[0]
    assert machine.asked == ""


def test_the_printed_command_is_enough(machine: Machine) -> None:
    machine.add("apt-get", _installs(machine))
    for tool in EVERYTHING:
        machine.lose(tool)
    first = machine.says(_stage("demo"))
    command = next(line.strip() for line in first.stderr.splitlines() if line.startswith("  "))
    machine.add("sudo", 'exec "$@"')
    ran = machine.says(command)
    machine.lose("sudo")
    second = machine.says(_stage("demo"))
    assert (ran.returncode, second.returncode, second.stdout) == (0, 0, "packages: already there\n")


def test_sudo_without_a_password_installs_what_is_missing(machine: Machine) -> None:
    machine.add("apt-get", _installs(machine))
    machine.add("sudo", '[ "$1" = -n ] && shift; [ "$1" = true ] && exit 0; exec "$@"')
    machine.lose("newuidmap")
    done = machine.says(_stage("demo"))
    assert done.returncode == 0, done.stderr
    assert "install -qq -y --no-install-recommends" in machine.asked
    assert "uidmap" in machine.asked


def test_a_sudo_that_wants_a_password_is_not_used(machine: Machine) -> None:
    machine.add("sudo", 'echo "sudo $*" >>"$LOG"; [ "$*" = "-n true" ] && exit 1; exit 0')
    machine.lose("podman")
    assert machine.says(_stage("demo")).returncode == 1
    assert machine.asked == "sudo -n true\n"


def test_an_installation_that_changes_nothing_is_not_believed(machine: Machine) -> None:
    machine.add("sudo", "exit 0")
    machine.lose("podman")
    done = machine.says(_stage("demo"))
    assert done.returncode == 1
    assert "still missing after the installation: podman" in done.stderr


def test_a_machine_with_dnf_gets_the_names_that_dnf_knows(machine: Machine) -> None:
    machine.lose("apt-get")
    machine.add("dnf")
    machine.lose("podman")
    machine.lose("npm")
    done = machine.says(_stage("demo"))
    assert "dnf install -y -q" in done.stderr
    assert "nodejs-npm" in done.stderr
    assert "shadow-utils" in done.stderr


def test_checking_needs_no_podman(machine: Machine) -> None:
    for tool in ("podman", "runc", "newuidmap", "npm"):
        machine.lose(tool)
    assert machine.says(_stage("check", sub_ids=False)).stdout == "packages: already there\n"


def test_the_tests_go_on_without_podman_and_say_what_is_missing(machine: Machine) -> None:
    machine.lose("podman")
    done = machine.says(_stage("test"))
    assert done.returncode == 0
    assert "podman cannot be used until this has been run: sudo sh -c" in done.stdout


def test_required_podman_that_cannot_be_installed_stops_the_tests(machine: Machine) -> None:
    machine.lose("podman")
    assert machine.says(_stage("test"), ASHIGARU_REQUIRE_PODMAN="1").returncode == 1


def test_npm_is_not_asked_for_once_all_that_it_fetches_is_cached(machine: Machine) -> None:
    machine.lose("npm")
    assert machine.says(_stage("demo")).returncode == 1
    kept = machine.bin.parent / "home" / ".cache" / "mcp-ashigaru"
    kept.mkdir(parents=True)
    machine.says(': >"$HOME/.cache/mcp-ashigaru/claude-$claude_version"')
    assert machine.says(_stage("demo")).returncode == 1
    machine.says('for name in $fetched; do : >"$HOME/.cache/mcp-ashigaru/$name"; done')
    assert machine.says(_stage("demo")).returncode == 0


def test_an_old_python_is_not_taken(machine: Machine) -> None:
    machine.add("python3", "exit 1")
    done = machine.says(_stage("check"))
    assert done.returncode == 1
    assert "python3-venv" in done.stderr


def test_sub_ids_are_taken_from_above_every_range_in_use(machine: Machine) -> None:
    machine.add("cat", "printf 'a:100000:65536\\nb:300000:65536\\n'")
    assert machine.says("sub_id_command tester").stdout == (
        "usermod --add-subuids 365536-431071 --add-subgids 365536-431071 tester\n"
    )


def _git(where: Path, *arguments: str) -> None:
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        **identity,
    }
    subprocess.run(["git", "-C", str(where), *arguments], env=environment, check=True, capture_output=True, timeout=60)


def test_the_copy_follows_the_work_tree_and_keeps_what_git_ignores_there(machine: Machine, tmp_path: Path) -> None:
    machine.lose("git")
    (machine.bin / "git").symlink_to(shutil.which("git") or "/usr/bin/git")
    source = tmp_path / "source tree"
    (source / "deep").mkdir(parents=True)
    (source / ".gitignore").write_text("ignored\n.venv\n.state/\n", encoding="utf-8")
    for name in ("tracked", "deep/gone later", "staged then deleted", "ignored"):
        (source / name).write_text("one", encoding="utf-8")
    _git(source, "init", "--quiet")
    _git(source, "add", ".")
    (source / "staged then deleted").unlink()
    (source / "untracked").write_text("one", encoding="utf-8")
    script = f"root='{source}'; copy_work_tree; copy_of_work_tree"

    first = machine.says(script)
    assert first.returncode == 0, first.stderr
    copy = Path(first.stdout.splitlines()[-1])
    found = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()} - {".state/copied"}
    assert found == {".gitignore", "tracked", "deep/gone later", "untracked"}

    (copy / ".venv").write_text("stays", encoding="utf-8")
    (source / "deep" / "gone later").unlink()
    (source / "untracked").unlink()
    (source / "tracked").write_text("two", encoding="utf-8")
    assert machine.says(script).returncode == 0
    found = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()} - {".state/copied"}
    assert found == {".gitignore", "tracked", ".venv"}
    assert (copy / "tracked").read_text(encoding="utf-8") == "two"


def test_only_named_variables_cross_to_the_account(machine: Machine, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("", encoding="utf-8")
    done = machine.says(
        "passed_on | tr '\\0' '\\n'",
        SSL_CERT_FILE=str(bundle),
        PIP_CERT=str(tmp_path / "nobody can read this"),
        https_proxy="http://127.0.0.1:3128",
        ASHIGARU_REQUIRE_PODMAN="1",
        GITHUB_TOKEN="dummy",
        ANTHROPIC_API_KEY="dummy",
        LD_PRELOAD="",
    )
    assert sorted(done.stdout.split()) == [
        "ASHIGARU_REQUIRE_PODMAN=1",
        f"SSL_CERT_FILE={bundle}",
        "https_proxy=http://127.0.0.1:3128",
    ]


def test_no_pin_names_an_index_and_every_pin_has_a_hash() -> None:
    for name in ("dev.txt", "daemon.txt"):
        text = (PROJECT / "requirements" / name).read_text(encoding="utf-8")
        pins = [
            block for block in text.replace("\\\n", " ").splitlines() if block and not block.lstrip().startswith("#")
        ]
        assert pins
        assert all("--hash=sha256:" in pin for pin in pins)
        assert "://" not in text
        assert "--index" not in text


def test_the_shell_and_the_build_agree_on_what_is_fetched() -> None:
    shell = (PROJECT / "scripts" / "stages" / "packages.sh").read_text(encoding="utf-8")
    version = shell.partition("claude_version=")[2].split()[0]
    assert version == CLAUDE_VERSION
    named = shell.partition('fetched="')[2].partition('"')[0].replace("\\\n", "").split()
    assert named == ["claude-$claude_version", *(archive.file_name for archive in GATE_ARCHIVES)]


SECOND_TRY = """
echo "$*" >>"$LOG"
case " $* " in
  *" --failed-to="*"not podman"*) printf "%b" "$FAILED" >"${4#*=}"; [ -z "$FAILED" ] ;;
  *" @"*) exit "$AGAIN" ;;
esac
"""


@pytest.mark.parametrize(
    ("failed", "again", "status", "calls"),
    [
        ("", 0, 0, 2),
        ("tests/a.py::one\\n", 0, 0, 3),
        ("tests/a.py::one\\n", 1, 1, 2),
        ("tests/a.py::one[a b]\\n" * 4, 0, 1, 1),
    ],
    ids=["none", "one, by chance", "one, for good", "many"],
)
def test_a_few_tests_that_fail_are_tried_once_more_and_are_named(
    machine: Machine, tmp_path: Path, failed: str, again: int, status: int, calls: int
) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    machine.add("python", SECOND_TRY)
    machine.add("wc", 'exec /usr/bin/wc "$@"')
    (tmp_path / ".venv" / "bin" / "python").symlink_to(machine.bin / "python")
    done = subprocess.run(
        [str(machine.bin / "bash"), str(PROJECT / "scripts" / "suite")],
        env={"PATH": str(machine.bin), "LOG": str(machine.log), "FAILED": failed, "AGAIN": str(again)},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    assert len(machine.asked.splitlines()) == calls
    assert ("tests/a.py::one" in done.stdout) is (1 <= failed.count("tests/") <= 3)
