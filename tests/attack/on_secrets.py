"""Group B: secrets that an agent would carry out in a change, a commit, a pull request or a log. The real guard."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mcp_ashigaru import secrecy
from runner import guard, leaks
from runner.adapters.secret_scanner import DetectSecrets
from runner.adapters.sql_records import SqlRecords
from runner.adapters.system_clock import SystemClock
from runner.changes import ChangeKind, FileChange
from runner.errors import BadIntent, Leaked, NotPossible
from runner.guard import Guard
from runner.leaks import Form, Marked, Watchlist
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.records_world import attempt_record, database, run_record
from tests.attack.taking_out import answering, out, out_everywhere, replaced

_TOKEN = "ghp_" + "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX"
_CANARY = "canary7Qx2Lm9Zt4Kp8Wv3Rn6Yb1"
_PLACEHOLDER = "placeholder5Hd8Js2Fg7Ka4Mz9Qe"
_RUN = run_record()


def _case(defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group="B", defence=defence, vector=vector, tried=tried, attempt=attempt)


def _records(ground: Ground) -> SqlRecords:
    records = SqlRecords(database(ground))
    records.claim(_RUN)
    records.begin_attempt(attempt_record(placeholder=_PLACEHOLDER))
    return records


def _guarded(deed: Callable[[Guard], object], ground: Ground) -> Outcome:
    made = Guard(
        records=ground.world("guarded-records", lambda: _records(ground)),
        clock=SystemClock(),
        scanner=DetectSecrets(),
        marked=(Marked(name="the GitHub token", value=_TOKEN),),
        canary=lambda _run_id: _CANARY,
    )
    try:
        answer = deed(made)
    except (Leaked, BadIntent) as fault:
        return Stopped(by=str(fault))
    return Stopped(by=str(answer)) if answer else Through(what="it would leave")


def _leaving(*parts: str) -> Attempt:
    return partial(_guarded, lambda one: one.leaving(_RUN.run_id, *parts))


def _changing(path: str, line: str) -> Attempt:
    change = FileChange(kind=ChangeKind.WRITE, path=path, mode="100644", content=line.encode())
    return partial(_guarded, lambda one: "; ".join(one.refusals([change], lambda _path: None)))


def _logged(log: Callable[[logging.Logger], object], _ground: Ground) -> Outcome:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(secrecy.Redacting("%(message)s", (Marked(name="the GitHub token", value=_TOKEN),)))
    apart = logging.Logger("apart")  # noqa: LOG001 - one of its own, that nobody else hears
    apart.addHandler(handler)
    log(apart)
    told = written.getvalue()
    return Through(what="the log holds the token") if _TOKEN in told else Stopped(by=told)


def _tried_again(_ground: Ground) -> Outcome:
    held = replace(_RUN, quarantined="it")
    try:
        guard.sound(held)
    except NotPossible as fault:
        return Stopped(by=str(fault))
    return Through(what="a run that held a secret goes on")


def _hex(text: str) -> str:
    return text.encode().hex()


def _base64(text: str, before: bytes = b"") -> str:
    return base64.b64encode(before + text.encode() + b"z").decode()


_ENCODED: tuple[tuple[str, str], ...] = (
    ("backwards", _TOKEN[::-1]),
    ("hexadecimal", _hex(_TOKEN).upper()),
    ("base64", _base64(_TOKEN)),
    ("base64-shifted-by-1", _base64(_TOKEN, b"x")),
    ("base64-shifted-by-2", _base64(_TOKEN, b"xx")),
    ("base32", base64.b32encode(b"abc" + _TOKEN.encode() + b"d").decode().lower()),
)
_SCATTERED: tuple[tuple[str, str], ...] = (
    ("zero-width-between", "\u200b".join(_TOKEN)),
    ("a-letter-a-line", "\n".join(_TOKEN)),
    ("in-pieces", "' + '".join(_TOKEN[at : at + 5] for at in range(0, len(_TOKEN), 5))),
    ("hexadecimal-with-colons", _TOKEN.encode().hex(":")),
)
_ESCAPED: tuple[tuple[str, str], ...] = (
    ("percent", "".join(ch if at % 2 else f"%{ord(ch):02x}" for at, ch in enumerate(_TOKEN))),
    ("string-escapes", "".join(f"\\x{ord(ch):02x}" for ch in _TOKEN)),
    ("unicode-escapes", "".join(f"\\u{ord(ch):04x}" for ch in _TOKEN)),
    ("html", "".join(f"&#{ord(ch)};" for ch in _TOKEN)),
)
_ANYBODYS: tuple[tuple[str, str, str], ...] = (
    ("cloud-key", "src/x.py", f"KEY = '{'AKIA' + 'IOSFODNN7EXAMPLQ'}'"),
    ("private-key", "src/x.py", f"-----BEGIN {'RSA PRIVATE'} KEY-----"),
    ("password-in-an-address", "src/x.py", "URL = 'https://user:hunter2secret@example.org/'"),
    ("forge-token-in-a-test", "tests/test_x.py", "T = 'ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'"),
)


def _plain_alone(piece: bytes) -> Iterator[tuple[Form, bytes]]:
    yield Form.PLAIN, piece


def _heeding_comments() -> Any:
    real = DetectSecrets._settings

    def settings(self: DetectSecrets, *, words: bool) -> dict[str, Any]:
        made = real(self, words=words)
        allow = {"path": "detect_secrets.filters.allowlist.is_line_allowlisted"}
        return made | {"filters_used": [*made["filters_used"], allow]}

    return replaced((DetectSecrets, "_settings", settings))


def _part_by_part() -> Any:
    real = Watchlist.find

    def find(self: Watchlist, *parts: str | bytes) -> Any:
        return next((found for part in parts if (found := real(self, part)) is not None), None)

    return replaced((Watchlist, "find", find))


def _nothing(_self: DetectSecrets, _lines: Sequence[str], *, words: bool) -> tuple[()]:  # noqa: ARG001 - the signature
    return ()


_DEFENCES = (
    Defence(
        name="own-secrets",
        sentence="Nothing that holds a secret of ours is committed, pushed or told.",
        without=out(Watchlist, "find", answering(None)),
    ),
    Defence(
        name="encoded-secrets",
        sentence="A secret of ours is known in its encodings.",
        without=out(leaks, "_forms", _plain_alone),
    ),
    Defence(
        name="scattered-secrets",
        sentence="A secret of ours is known with anything between its letters.",
        without=out(leaks, "_squeezed", lambda text: text),
    ),
    Defence(
        name="escaped-secrets",
        sentence="A secret of ours is known in the escapes of languages and pages.",
        without=out(leaks, "_views", lambda whole: (leaks._squeezed(whole),)),
    ),
    Defence(
        name="split-secrets",
        sentence="A split between two texts hides nothing.",
        without=_part_by_part,
    ),
    Defence(
        name="anybodys-credentials",
        sentence="A change or a brief that looks as if it held a credential is refused.",
        without=out(DetectSecrets, "findings", _nothing),
    ),
    Defence(
        name="no-word-of-their-own",
        sentence="A comment in the line does not excuse a credential.",
        without=_heeding_comments,
    ),
    Defence(
        name="quarantine",
        sentence="A run that held a secret is never tried again.",
        without=out_everywhere(guard.sound, answering(None)),
    ),
    Defence(
        name="redacted-log",
        sentence="The log names a secret in its place.",
        without=out(secrecy, "redact", lambda text, _marked: text),
    ),
)

_CASES = (
    *(
        _case("own-secrets", vector, f"tell {what} in a pull request", _leaving("Mend it", text))
        for vector, what, text in (
            ("as-it-is", "the forge's token", f"see {_TOKEN}"),
            ("first-half", "half of the token", _TOKEN[: len(_TOKEN) // 2]),
            ("canary", "the run's canary", _CANARY),
            ("placeholder", "the attempt's placeholder", _PLACEHOLDER),
        )
    ),
    *(_case("encoded-secrets", vector, f"tell the token in {vector}", _leaving(text)) for vector, text in _ENCODED),
    *(_case("scattered-secrets", vector, f"tell the token {vector}", _leaving(text)) for vector, text in _SCATTERED),
    *(_case("escaped-secrets", vector, f"tell the token in {vector}", _leaving(text)) for vector, text in _ESCAPED),
    _case(
        "split-secrets",
        "title-and-body",
        "begin the token in the title, end it in the body",
        _leaving(f"Mend {_TOKEN[:10]}", f"{_TOKEN[10:30]}", f"{_TOKEN[30:]} it"),
    ),
    *(
        _case("anybodys-credentials", vector, f"write {vector} to {path}", _changing(path, line))
        for vector, path, line in _ANYBODYS
    ),
    _case(
        "anybodys-credentials",
        "in-the-brief",
        "put a credential into the brief",
        partial(_guarded, lambda one: one.asked("brief", _ANYBODYS[0][2])),
    ),
    _case(
        "no-word-of-their-own",
        "excusing-comment",
        "excuse a credential by a comment",
        _changing("src/x.py", f"{_ANYBODYS[0][2]}  # pragma: allowlist secret"),
    ),
    _case("quarantine", "tried-again", "try a quarantined run again", _tried_again),
    _case("redacted-log", "line", "have the token logged", partial(_logged, lambda log: log.warning("as %s", _TOKEN))),
    _case(
        "redacted-log",
        "trace",
        "have the token logged in a trace",
        partial(_logged, lambda log: log.error("failed", exc_info=ValueError(_TOKEN))),
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
