"""A test runner's report, whatever its form, read as evidence. Never raises for what it is given. Pure.

The form is told by the content: JUnit XML, jest's JSON, the events of `go test -json`, what `cargo test` prints.
"""

from __future__ import annotations

from gates.evidence import Evidence, read_junit
from gates.go_report import is_go, read_go
from gates.jest_report import read_jest
from gates.libtest_report import is_libtest, read_libtest


def read_report(data: bytes) -> Evidence:
    """The report's tests; a BadReport where it is in none of the forms that are known."""
    if is_go(data):
        return read_go(data)
    if data[:1] == b"{":
        return read_jest(data)
    if data.lstrip()[:1] != b"<" and is_libtest(data):
        return read_libtest(data)
    return read_junit(data)
