"""What a failed gate says to whoever has to repair it: bounded, deterministic, nothing hidden in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gates.evidence import Case
from gates.text import clean, plain

MAX_REPORT_BYTES: Final = 8192
MAX_CASES_SHOWN: Final = 12
_MAX_HEADLINE_CHARS: Final = 600
_MAX_NAME_CHARS: Final = 200
_MAX_CASE_BYTES: Final = 2400
_SOLE_TAIL_BYTES: Final = 4800
_SHORT_TAIL_BYTES: Final = 900
_CUT: Final = "\n[...]\n"
# In pytest's traces: the failing line, what it came to, and where. The rest is source that can be read in the files.
_TELLING: Final = re.compile(r"[>E](?:\s|$)|\S+:\d+: ")


def failure_report(headline: str, cases: Sequence[Case], output: bytes) -> str:
    """The report: `headline`, each failed test with its message and its shortest useful trace, the output's tail.

    At most MAX_REPORT_BYTES bytes of UTF-8; the same arguments always give the same text, and it holds no terminal
    escape, control, bidirectional or zero-width character. A trace that is there twice is shown once. Where tests are
    named, the output's tail is kept short: a test runner prints there once more what is in its report.
    """
    said = [clean(headline, _MAX_HEADLINE_CHARS)]
    tail = _tail(output, _SHORT_TAIL_BYTES if cases else _SOLE_TAIL_BYTES)
    if len(cases) > MAX_CASES_SHOWN:
        tail = "\n\n".join(part for part in (f"... and {len(cases) - MAX_CASES_SHOWN} more failed.", tail) if part)
    shown = cases[:MAX_CASES_SHOWN]
    # Each has an even share of the room; what one leaves goes to those after it.
    room = MAX_REPORT_BYTES - len(said[0].encode("utf-8")) - len(tail.encode("utf-8")) - 4
    seen: dict[str, str] = {}
    for index, case in enumerate(shown):
        part = _case(case, seen, min(_MAX_CASE_BYTES, room // (len(shown) - index) - 2))
        room -= len(part.encode("utf-8")) + 2
        said.append(part)
    return middle_cut("\n\n".join(part for part in (*said, tail) if part), MAX_REPORT_BYTES)


def middle_cut(text: str, max_bytes: int) -> str:
    """`text` in at most `max_bytes` bytes, its head and its tail kept where it is too long."""
    data = text.encode("utf-8", "replace")
    if len(data) <= max_bytes:
        return data.decode("utf-8")
    room = max(0, max_bytes - len(_CUT))
    head = data[: room * 2 // 3].decode("utf-8", "ignore")
    tail = data[len(data) - (room - room * 2 // 3) :].decode("utf-8", "ignore")
    return (head + _CUT + tail)[:max_bytes]


def _case(case: Case, seen: dict[str, str], max_bytes: int) -> str:
    name = clean(case.full_name, _MAX_NAME_CHARS)
    told = plain(case.detail or case.message, keep_newlines=True).strip("\n")
    if told and told in seen:
        return middle_cut(f"FAILED {name}\nas {seen[told]} above", max_bytes)
    seen[told] = name
    message = plain(case.message, keep_newlines=False)
    trace = _shortest(told, max_bytes - len(name.encode("utf-8")) - len(message.encode("utf-8")) - 16)
    # The trace ends with what the message says, as a rule; twice is once too often.
    if _bare(message) in _bare(trace):
        message = ""
    return middle_cut("\n".join(part for part in (f"FAILED {name}", message, trace) if part), max_bytes)


def _shortest(trace: str, max_bytes: int) -> str:
    """The trace whole if there is room, else its telling lines, if it has any."""
    if len(trace.encode("utf-8")) <= max_bytes:
        return trace
    return "\n".join(line for line in trace.split("\n") if _TELLING.match(line)) or trace


def _bare(text: str) -> str:
    """Without white space and pytest's margin, to compare what is said and not how it is set."""
    return "".join(re.sub(r"^E\s+", "", text, flags=re.MULTILINE).split())


def _tail(output: bytes, max_bytes: int) -> str:
    """The output's last whole lines."""
    text = plain(output[-8 * max_bytes :].decode("utf-8", "replace"), keep_newlines=True).strip()
    data = text.encode("utf-8")
    if not data:
        return ""
    if len(data) > max_bytes:
        text = data[-max_bytes:].decode("utf-8", "ignore")
        text = text.split("\n", 1)[-1] if "\n" in text else text
    return f"The output ends:\n{text}"
