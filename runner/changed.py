"""A run's diff made fit to be read: what is hidden in it shown, and what it does to each file counted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gates.text import clip, plain
from runner.errors import NotPossible
from runner.model import DONE_PHASES
from runner.ports import Checkouts
from runner.records import Records, RunRecord

MAX_DIFF_BYTES: Final = 4 * 1024 * 1024
"""More of a diff is never read; its files are counted as far as that goes."""

_HUNK: Final = re.compile(r"@@ -\d+(?:,(?P<old>\d+))? \+\d+(?:,(?P<new>\d+))? @@")
_NO_FILE: Final = "/dev/null"


@dataclass(frozen=True, kw_only=True)
class FileStat:
    """Lines added and removed in one file; both 0 where only its mode changed, or it is binary."""

    path: str
    added: int = 0
    removed: int = 0
    binary: bool = False


@dataclass(frozen=True, kw_only=True)
class RunDiff:
    """The work of a run: what `head_sha` changes of `base_sha`. cut: `text` is not all of it."""

    base_sha: str
    head_sha: str
    files: tuple[FileStat, ...]
    text: str
    cut: bool


def diff_of(checkouts: Checkouts, records: Records, run: RunRecord, *, max_bytes: int) -> RunDiff:
    """The published or kept work, or else what was judged last, in at most `max_bytes` bytes. Raises NotPossible."""
    if run.phase in DONE_PHASES:
        where = f"; look at {run.pull_url}" if run.pull_url else ""
        raise NotPossible(f"The run is merged as {(run.merged_sha or '-')[:12]} and keeps no copy of its work{where}.")
    judged = [one.commit for one in records.judgements(run.run_id) if one.what == "head"]
    head = run.head_sha or (judged[-1] if judged else None)
    if run.base_sha is None or head is None:
        raise NotPossible("The run has no work to show yet; status says what it is at.")
    raw = checkouts.diff(run.run_id, run.base_sha, head, MAX_DIFF_BYTES)
    text = shown(raw)
    return RunDiff(
        base_sha=run.base_sha,
        head_sha=head,
        files=stats(raw),
        text=clip(text, max_bytes),
        cut=len(text.encode("utf-8")) > max_bytes or len(raw.encode("utf-8")) > MAX_DIFF_BYTES,
    )


def shown(text: str) -> str:
    """The diff with every character that a person would not see written out, `<U+202E>`; line ends stay as they are.

    A diff is read to find out what is there: to drop what is hidden, as elsewhere, would hide it for good.
    """
    return "\n".join(line if line.isascii() and line.isprintable() else _spelled(line) for line in text.split("\n"))


def _spelled(line: str) -> str:
    return "".join(ch if ch == "\t" or plain(ch, keep_newlines=True) == ch else f"<U+{ord(ch):04X}>" for ch in line)


def stats(text: str) -> tuple[FileStat, ...]:
    """What a diff of git's, without renames, does to each file, in its order.

    Within a hunk its own header says how many lines follow, so that no line of a file is taken for a header.
    """
    found: list[FileStat] = []
    path, added, removed, old, new, binary = "", 0, 0, 0, 0, False

    def close() -> None:
        if path:
            found.append(FileStat(path=path, added=added, removed=removed, binary=binary))

    for line in text.split("\n"):
        if old > 0 or new > 0:
            added, removed = added + line.startswith("+"), removed + line.startswith("-")
            old -= line.startswith((" ", "-"))
            new -= line.startswith((" ", "+"))
        elif line.startswith("diff --git "):
            close()
            path, added, removed, binary = _same(line.removeprefix("diff --git ")), 0, 0, False
        elif line.startswith(("--- ", "+++ ")) and line[4:].strip('"') != _NO_FILE:
            path = _named(line[4:])
        elif line.startswith("Binary files "):
            binary = True
        elif (hunk := _HUNK.match(line)) is not None:
            old, new = int(hunk["old"] or 1), int(hunk["new"] or 1)
    close()
    return tuple(found)


def _same(names: str) -> str:
    # Without renames both names are the same but for their first letter: `a/x b/x`, or both in quotes.
    return _named(names[: (len(names) - 1) // 2])


def _named(name: str) -> str:
    bare = name.rstrip("\t").strip('"')
    return bare[2:] if bare.startswith(("a/", "b/")) else bare
