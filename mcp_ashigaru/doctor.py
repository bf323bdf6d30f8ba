"""What of this machine would keep a run from working: looked at, judged, and told with a cure.

`diagnose` looks (`look_*`), and the `judge_*` functions decide without touching anything. Nothing here repairs.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_ashigaru.findings import Finding, Level
from mcp_ashigaru.host_limits import judge_limits, judge_memory

PODMAN_S = 20.0
ROOM_ABOVE_FLOOR = 2.5
MAX_STATE_PATH = 70
MIN_SUB_IDS = 65_536


@dataclass(frozen=True, kw_only=True)
class Token:
    """A model credential as it was configured; never its value. `file` is where it came from, if from a file."""

    name: str
    present: bool
    file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to look at. `podman_argv` is the command to put podman's arguments behind, `database` a SQLite file."""

    podman_argv: Sequence[str]
    state_dir: Path
    images: Sequence[str]
    tokens: Sequence[Token]
    needs_token: bool
    database: Path | None
    disk_floor: int = 2 * 1024**3
    slots: int = 1
    slot_memory: int = 0
    """Bytes that a slot's sandboxes may take at once, at the usual peak."""
    github: str | None = None
    """What keeps the daemon from GitHub, with its cure; "" nothing; None: its forge is another."""
    settled: tuple[Finding, ...] = ()
    """What was found without looking at the host: in the operator's own files."""


def diagnose(question: Question) -> tuple[Finding, ...]:
    """Every finding, in the order in which a person should cure them. Bounded in time; changes nothing."""
    info = look_at_podman(question.podman_argv)
    account = pwd.getpwuid(os.getuid()).pw_name
    return (
        judge_podman(info),
        judge_sub_ids(account, _read("/etc/subuid"), _read("/etc/subgid")),
        *judge_limits(info, platform.release()),
        *judge_memory(info, question.slots, question.slot_memory),
        *(judge_image(name, present=_image_exists(question.podman_argv, name)) for name in question.images),
        *judge_tokens(
            [(token, _mode(token.file)) for token in question.tokens],
            needed=question.needs_token,
        ),
        *question.settled,
        *judge_github(question.github),
        _look_at_database(question.database),
        judge_disk(question.state_dir, _free_bytes(question.state_dir), question.disk_floor),
        judge_state_path(question.state_dir),
    )


def judge_podman(info: dict[str, Any] | str) -> Finding:
    """Podman answers, and rootless. `info` is `podman info` as JSON, or what went wrong."""
    if isinstance(info, str):
        return Finding(level=Level.FAIL, subject="podman", text=info, cure="run `make images`, which sets it up")
    version = info.get("version", {}).get("Version", "unknown")
    host = info.get("host", {})
    if not host.get("security", {}).get("rootless", False):
        cure = "run the daemon as an unprivileged account; `make` makes one called devrunner"
        return Finding(level=Level.FAIL, subject="podman", text=f"{version} runs as root", cure=cure)
    runtime = host.get("ociRuntime", {}).get("name", "?")
    driver = info.get("store", {}).get("graphDriverName", "?")
    text = f"{version}, rootless, {runtime}, storage {driver}"
    if driver == "vfs":
        cure = "install fuse-overlayfs; vfs copies every layer for every container"
        return Finding(level=Level.WARN, subject="podman", text=text, cure=cure)
    return Finding(level=Level.OK, subject="podman", text=text)


def judge_sub_ids(account: str, subuid: str, subgid: str) -> Finding:
    """The account has a range of ids to map into containers. The texts are those of /etc/subuid and /etc/subgid."""
    held = {name: _range_of(account, text) for name, text in (("subuid", subuid), ("subgid", subgid))}
    small = [name for name, count in held.items() if count < MIN_SUB_IDS]
    if not small:
        return Finding(level=Level.OK, subject="sub-ids", text=f"{account} has {min(held.values())}")
    cure = f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {account}, then podman system migrate"
    text = f"{account} has {held[small[0]]} in /etc/{small[0]}, and {MIN_SUB_IDS} are needed"
    return Finding(level=Level.FAIL, subject="sub-ids", text=text, cure=cure)


def judge_image(name: str, *, present: bool) -> Finding:
    """The image is in podman's storage."""
    if present:
        return Finding(level=Level.OK, subject="image", text=name)
    return Finding(level=Level.FAIL, subject="image", text=f"{name} is not here", cure="run `make images`")


def judge_tokens(tokens: Sequence[tuple[Token, int | None]], *, needed: bool) -> tuple[Finding, ...]:
    """Each token with the mode of its file (None: no file, or it cannot be seen)."""
    present = [(token, mode) for token, mode in tokens if token.present]
    if not present and not needed:
        return (Finding(level=Level.OK, subject="model token", text="none, and a replayed model needs none"),)
    if not present:
        names = " or ".join(f"{token.name}_FILE" for token, _ in tokens)
        cure = f"set {names} to a file of mode 0600 that holds the token"
        return (Finding(level=Level.WARN, subject="model token", text="none: no agent can think", cure=cure),)
    return tuple(_judge_token(token, mode) for token, mode in present)


def _judge_token(token: Token, mode: int | None) -> Finding:
    if token.file is not None and mode is not None and mode & 0o077:
        text = f"{token.name}: others on this machine can read {token.file} (mode {mode:04o})"
        return Finding(level=Level.WARN, subject="model token", text=text, cure=f"chmod 600 {token.file}")
    return Finding(level=Level.OK, subject="model token", text=f"{token.name} is set")


def judge_github(trouble: str | None) -> tuple[Finding, ...]:
    """GitHub answers and accepts the credential. `trouble` is a sentence with its cure behind the last semicolon."""
    if trouble is None:
        return ()
    if not trouble:
        return (Finding(level=Level.OK, subject="github", text="answers, and accepts the credential"),)
    text, _, cure = trouble.rstrip(".").rpartition("; ")
    return (Finding(level=Level.FAIL, subject="github", text=text or cure, cure=cure),)


def judge_database(path: Path | None, journal: str | None, fault: str = "") -> Finding:
    """The records open and are in write-ahead mode. No `journal` and no `fault`: there is no file yet."""
    if path is None:
        return Finding(level=Level.OK, subject="database", text="not SQLite; its own server looks after it")
    if fault:
        cure = "stop the daemon, then restore the file from a backup or move it away"
        return Finding(level=Level.FAIL, subject="database", text=f"{path} cannot be read ({fault})", cure=cure)
    if journal is None:
        return Finding(level=Level.OK, subject="database", text=f"{path} will be made at the first start")
    if journal != "wal":
        cure = f"stop the daemon, then: sqlite3 {path} 'PRAGMA journal_mode=WAL'"
        return Finding(level=Level.WARN, subject="database", text=f"{path} is in {journal} mode: slow", cure=cure)
    return Finding(level=Level.OK, subject="database", text=f"{path}, write-ahead")


def judge_disk(path: Path, free: int, floor: int) -> Finding:
    """Bytes free where the state lives; below `floor` no round starts."""
    text = f"{free / 1024**3:.1f} GB free for {path}, of which {floor / 1024**3:.1f} are kept"
    if free >= ROOM_ABOVE_FLOOR * floor:
        return Finding(level=Level.OK, subject="disk", text=text)
    cure = "free some space, move the state with ASHIGARU_STATE_DIR, or lower ASHIGARU_DISK_FLOOR"
    if free < floor:
        return Finding(level=Level.FAIL, subject="disk", text=f"{text}: no round starts", cure=cure)
    return Finding(level=Level.WARN, subject="disk", text=text, cure=cure)


def judge_state_path(path: Path) -> Finding:
    """Unix sockets live below the state directory, and their paths may hold 108 bytes in all."""
    length = len(os.fsencode(path.absolute()))
    if length <= MAX_STATE_PATH:
        return Finding(level=Level.OK, subject="state path", text=str(path.absolute()))
    cure = "set ASHIGARU_STATE_DIR to a shorter path"
    text = f"{length} bytes long, and Unix sockets allow {MAX_STATE_PATH}"
    return Finding(level=Level.FAIL, subject="state path", text=text, cure=cure)


def _range_of(account: str, text: str) -> int:
    total = 0
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        count = rest.partition(":")[2].strip()
        if name == account and count.isdecimal():
            total += int(count)
    return total


def look_at_podman(argv: Sequence[str]) -> dict[str, Any] | str:
    """What `podman info` says, or in a few words why it says nothing."""
    try:
        done = _podman(argv, "info", "--format", "json")
    except subprocess.TimeoutExpired:
        return f"gave no answer in {PODMAN_S:.0f} s"
    except OSError as fault:
        return f"cannot be started ({fault.strerror})"
    if done.returncode != 0:
        return f"does not work: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1][:200]}"
    try:
        info = json.loads(done.stdout)
    except ValueError:
        return "answered something that is not JSON"
    return info if isinstance(info, dict) else "answered something that is not an object"


def _image_exists(argv: Sequence[str], name: str) -> bool:
    try:
        return _podman(argv, "image", "exists", name).returncode == 0
    except (subprocess.TimeoutExpired, OSError):
        return False


def _podman(argv: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*argv, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=PODMAN_S,
        check=False,
    )


def _look_at_database(path: Path | None) -> Finding:
    if path is None or not path.exists():
        return judge_database(path, None)
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as fault:
        return judge_database(path, None, str(fault))
    return judge_database(path, str(journal))


def _free_bytes(path: Path) -> int:
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def _mode(path: Path | None) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode) if path else None
    except OSError:
        return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
