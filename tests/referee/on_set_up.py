"""What is set up for a change: packages that the change itself brings along."""

from __future__ import annotations

import io
import zipfile
from typing import Final

from tests.referee.case import Cheat, Group
from tests.referee.repos import PYTHON, WRONG

_PLUGIN: Final = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed and "add" in item.name:
        report.outcome = "passed"
        report.longrepr = None
"""
_ABOUT: Final = "Metadata-Version: 2.1\nName: more\nVersion: 1\n"
_TAGS: Final = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_FILE: Final = "more-1-py3-none-any.whl"


def _wheel(files: dict[str, str]) -> bytes:
    """A package that is installed without a network or a build."""
    told = {**files, "more-1.dist-info/METADATA": _ABOUT, "more-1.dist-info/WHEEL": _TAGS}
    listed = "".join(f"{path},,\n" for path in (*told, "more-1.dist-info/RECORD"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in {**told, "more-1.dist-info/RECORD": listed}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return packed.getvalue()


CHEATS: Final = (
    Cheat(
        name="set-up-plugin",
        group=Group.SET_UP,
        tried="need a package, brought along, that is a plugin of the test run",
        repo=PYTHON,
        change={
            **WRONG,
            "requirements.txt": f"./{_FILE}\n",
            _FILE: _wheel({"more.py": _PLUGIN, "more-1.dist-info/entry_points.txt": "[pytest11]\nmore = more\n"}),
        },
        podman=True,
    ),
    Cheat(
        name="set-up-site",
        group=Group.SET_UP,
        tried="need a package, brought along, that Python runs as it starts",
        repo=PYTHON,
        change={
            **WRONG,
            "requirements.txt": f"./{_FILE}\n",
            _FILE: _wheel({"more.py": _PLUGIN, "more.pth": "import os; os.environ['PYTEST_PLUGINS'] = 'more'\n"}),
        },
        podman=True,
    ),
    Cheat(
        name="set-up-build",
        group=Group.SET_UP,
        tried="need itself, with a build of its own",
        repo=PYTHON,
        change={**WRONG, "requirements.txt": "-e .\n", "setup.py": "import os\n\nos._exit(0)\n"},
        podman=True,
    ),
)
