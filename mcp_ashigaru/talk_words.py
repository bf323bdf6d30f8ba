"""How the forge's pages, on the terminal and in the browser, tell of a remark."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_never

from runner.remarks import Remark, Stance


def where(remark: Remark) -> str:
    """The place in the diff that a remark is of; "" where it is of the whole."""
    if remark.path is None:
        return ""
    return f"{remark.path}:{remark.line}" if remark.line is not None else f"{remark.path}, changed since"


def verb(stance: Stance) -> str:
    """What a remark does, for a heading."""
    match stance:
        case Stance.APPROVED:
            return "approves"
        case Stance.CHANGES_REQUESTED:
            return "asks for changes"
        case Stance.COMMENTED:
            return "says"
        case _:
            assert_never(stance)


def at(remark: Remark) -> str:
    """When it was said, for a person."""
    return datetime.fromtimestamp(remark.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
