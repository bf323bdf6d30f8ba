"""Copies one bare repository's objects into another, file by file: what git has verified once is not unpacked again."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LOOSE: Final = re.compile(r"[0-9a-f]{38}|[0-9a-f]{62}")
_FAN: Final = re.compile(r"[0-9a-f]{2}")
# A pack is seen by its index, so that comes when all else is there.
_PACK_PARTS: Final = (".pack", ".rev", ".idx")


def copy_objects(source: Path, target: Path) -> None:
    """Every object of the repository at `source` is in the one at `target` too. Raises OSError.

    Nothing is shared or linked. A file that is there is not copied again: its name is the digest of what it holds.
    """
    for there in _object_files(source / "objects"):
        here = target / "objects" / there.relative_to(source / "objects")
        if not here.exists():
            _copy_whole(there, here)


def _object_files(objects: Path) -> Iterator[Path]:
    for folder in sorted(objects.iterdir()):
        if _FAN.fullmatch(folder.name):
            yield from (file for file in folder.iterdir() if _LOOSE.fullmatch(file.name))
    for suffix in _PACK_PARTS:
        yield from sorted((objects / "pack").glob(f"pack-*{suffix}"))


def _copy_whole(there: Path, here: Path) -> None:
    here.parent.mkdir(exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="tmp_copy_", dir=here.parent)
    os.close(descriptor)
    try:
        shutil.copyfile(there, name)
        Path(name).chmod(0o444)
        Path(name).replace(here)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
