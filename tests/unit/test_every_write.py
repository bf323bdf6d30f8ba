"""Every kind of write on a disk that is really full, and in a process that may open no more files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fakes.lived_through import lived_through
from tests.story.house import repository

# Before 3.11.4 a subprocess that gets no pipe leaves open those that it has got (python/cpython#87474).
PYTHONS_OWN = 0 if sys.version_info >= (3, 11, 4) else 12

CURES = ("raise the daemon's LimitNOFILE.", "its rights and LimitNOFILE. It goes on by itself after that.")


def own_disk() -> tuple[str, ...]:
    """The command line before one that mounts a disk of its own; nothing where nobody here may."""
    for prefix in (("unshare", "-m"), ("unshare", "-Umr")):
        tried = subprocess.run([*prefix, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
        if tried.returncode == 0:
            return prefix
    return ()


def test_every_kind_of_write_says_that_the_disk_is_full_and_works_when_it_is_not(tmp_path: Path) -> None:
    source = repository(tmp_path / "source", {"total.py": "total = 0\n"})
    (tmp_path / "disk").mkdir()
    prefix = own_disk()
    how = "mount" if prefix else "limit"
    told = lived_through("small_disk_program", str(tmp_path / "disk"), str(source), how, prefix=prefix)
    assert set(map(tuple, told["freed"].values())) == {("", "")}
    assert "" not in {name for name, _ in told["full"].values()}
    if prefix:
        said = {
            kind: (name, "full" in text or "No space left on device" in text)
            for kind, (name, text) in told["full"].items()
        }
        assert said == {
            "records": ("RecordsDown", True),
            "mirror": ("DiskLow", True),
            "clone": ("DiskLow", True),
            "export": ("OSError", True),
            "commit": ("DiskLow", True),
            "file": ("OSError", True),
            "anchor": ("RecordsDown", True),
        }


def test_every_kind_of_write_says_that_no_more_files_can_be_opened_and_works_when_they_can(tmp_path: Path) -> None:
    source = repository(tmp_path / "source", {"total.py": "total = 0\n"})
    (tmp_path / "state").mkdir()
    told = lived_through("few_files_program", str(tmp_path / "state"), str(source))
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
