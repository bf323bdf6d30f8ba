"""What a failed gate says to whoever has to repair it: bounded, deterministic, nothing hidden in it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gates.evidence import Case
from gates.text import plain

MAX_REPORT_BYTES: Final = 8192
MAX_CASES_SHOWN: Final = 12
_CASE_BYTES: Final = 1400
_TAIL_BYTES: Final = 2400
_CUT: Final = "\n[...]\n"


def failure_report(headline: str, cases: Sequence[Case], output: bytes) -> str:
    """The report: `headline`, each failed test with its message and its shortest useful trace, the output's tail.

    At most MAX_REPORT_BYTES bytes of UTF-8; the same arguments always give the same text.
    """
    parts = [plain(headline, keep_newlines=False)]
    seen: set[str] = set()
    for case in cases[:MAX_CASES_SHOWN]:
        trace = plain(case.detail or case.message, keep_newlines=True).strip()
        if trace in seen:
            parts.append(f"FAILED {plain(case.name, keep_newlines=False)}: as above")
            continue
        seen.add(trace)
        message = plain(case.message, keep_newlines=False)
        parts.append(middle_cut(f"FAILED {plain(case.name, keep_newlines=False)}\n{message}\n{trace}", _CASE_BYTES))
    if len(cases) > MAX_CASES_SHOWN:
        parts.append(f"... and {len(cases) - MAX_CASES_SHOWN} more")
    tail = plain(output[-4 * _TAIL_BYTES :].decode("utf-8", "replace"), keep_newlines=True).strip()
    if tail:
        data = tail.encode("utf-8")[-_TAIL_BYTES:]
        parts.append("Output ends:\n" + data.decode("utf-8", "ignore"))
    return middle_cut("\n\n".join(part for part in parts if part), MAX_REPORT_BYTES)


def middle_cut(text: str, max_bytes: int) -> str:
    """`text` in at most `max_bytes` bytes, its head and its tail kept where it is too long."""
    data = text.encode("utf-8", "replace")
    if len(data) <= max_bytes:
        return data.decode("utf-8")
    room = max(0, max_bytes - len(_CUT))
    head = data[: room * 2 // 3].decode("utf-8", "ignore")
    tail = data[len(data) - (room - room * 2 // 3) :].decode("utf-8", "ignore")
    return head + _CUT + tail
