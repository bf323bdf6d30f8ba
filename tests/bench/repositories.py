"""The two repositories that are measured on, from a seed: the same bytes, so the same commits, each time."""

from __future__ import annotations

import base64
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_GATE: Final = b'[[gate]]\nname = "check"\nrun = "test -s bench.txt"\n'
_FIRST: Final = b"nobody was here yet\n"
_STARTED: Final = 1_700_000_000


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How much history: files at the head, commits, files rewritten in each, bytes of noise in a file."""

    name: str
    files: int
    commits: int
    rewritten: int
    noise: int


TINY: Final = Shape(name="tiny", files=5, commits=3, rewritten=1, noise=300)
LARGE: Final = Shape(name="large", files=1_000, commits=780, rewritten=20, noise=3_000)
"""About 50 MB packed: what is in the files does not compress below its noise, and no version resembles another."""


def make(shape: Shape, place: Path) -> Path:
    """A bare repository of that shape at `place`, packed, with `main` as its branch."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(place)], check=True)
    imported = subprocess.Popen(["git", "-C", str(place), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert imported.stdin is not None
    for piece in _history(shape):
        imported.stdin.write(piece)
    imported.stdin.close()
    assert imported.wait() == 0, "git fast-import did not take the repository"
    subprocess.run(["git", "-C", str(place), "repack", "-adq"], check=True)
    return place


def packed_bytes(repository: Path) -> int:
    """What its packs take on the disk."""
    return sum(pack.stat().st_size for pack in repository.glob("objects/pack/*.pack"))


def _history(shape: Shape) -> Iterator[bytes]:
    chance = random.Random(shape.name)  # noqa: S311 - the same noise each time is the point
    for number in range(shape.commits):
        which = range(shape.files) if number == 0 else sorted(chance.sample(range(shape.files), shape.rewritten))
        text = f"Change {number}\n".encode()
        yield b"commit refs/heads/main\ncommitter Bench <bench@localhost> %d +0000\n" % (_STARTED + 60 * number)
        yield _data(text)
        if number == 0:
            yield b"M 100644 inline .ashigaru.toml\n" + _data(_GATE) + b"M 100644 inline bench.txt\n" + _data(_FIRST)
        for file in which:
            noise = base64.encodebytes(chance.randbytes(shape.noise))
            yield b"M 100644 inline part-%02d/file-%04d.txt\n" % (file % 40, file) + _data(noise)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
