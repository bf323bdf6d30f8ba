"""What a Go module's files say of its tests and of what they need. Go 1.19 and newer. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gates.ecosystem import ENV, OUT, TIMEOUT_S, Found, Gate, Read
from gates.test_runners import TestRunner

GO_MANIFESTS: Final = ("go.mod", "go.sum", "*/go.mod", "*/go.sum", "*/*/go.mod", "*/*/go.sum", "go.work", "go.work.sum")
"""Patterns of the files that say what a Go module needs."""

_REPORT: Final = "go-test.json"
_RAW: Final = "/tmp/go-test.json"  # noqa: S108 - inside the sandbox
_CACHE: Final = f"{ENV}/go/mod"
_REQUIRES: Final = re.compile(rb"^\s*require\b", re.MULTILINE)
_MAX_BYTES: Final = 1024 * 1024
_ENVIRONMENT: Final = (
    ("GOENV", "off"),
    # What was set up can be thrown away, and a tree has no history to take a version from.
    ("GOFLAGS", "-modcacherw -buildvcs=false"),
    ("GOMODCACHE", _CACHE),
    ("GOPATH", "/tmp/go"),  # noqa: S108 - inside the sandbox
    # The image's Go, not one that it would fetch because go.mod names a newer one.
    ("GOTOOLCHAIN", "local"),
)
# What is built goes to the disk, for /tmp is memory, and beside the tree, which could bring some along.
# No pipe: the status is go's own. The report goes without the events that only tell of turns taken, which are most.
_RUN: Final = f"""\
export GOPROXY=off GOSUMDB=off GOCACHE={OUT}/go/cache GOTMPDIR={OUT}/go/tmp
mkdir -p {OUT}/go/tmp
go test -json ./... >{_RAW}
status=$?
grep -av -e '"Action":"\\(pause\\|cont\\)"' -e '"Output":"=== ' {_RAW} >{OUT}/{_REPORT}
exit $status"""


def go_project(paths: Sequence[str], read: Read) -> Found | None:
    """The module at the top and those of its workspace; None where there is none at the top."""
    if "go.mod" not in paths:
        return None
    gate = Gate(name="test", run=_RUN, junit=_REPORT, timeout_s=TIMEOUT_S, runner=TestRunner.GO)
    needs = "vendor/modules.txt" not in paths and _REQUIRES.search((read("go.mod") or b"")[:_MAX_BYTES]) is not None
    return Found(
        gate=gate if _tests_in(paths) else None,
        setup=("go mod download",) if needs else (),
        manifests=GO_MANIFESTS if needs else (),
        environment=_ENVIRONMENT,
    )


def _tests_in(paths: Sequence[str]) -> bool:
    """Whether there is a test in a package of this module, in no directory that go passes by."""
    others = tuple(path.removesuffix("go.mod") for path in paths if path.endswith("/go.mod"))
    return any(_is_test(path) and not path.startswith(others) for path in paths if path.endswith("_test.go"))


def _is_test(path: str) -> bool:
    *directories, name = path.split("/")
    passed_by = any(one in {"vendor", "testdata"} or one.startswith((".", "_")) for one in directories)
    return not passed_by and not name.startswith((".", "_"))
