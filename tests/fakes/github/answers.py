"""What goes back to a client: JSON with GitHub's headers, pages, and GitHub's way of saying no."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

DOCS = "https://docs.github.com/rest"


@dataclass(kw_only=True)
class Answer:
    """body: JSON, or raw bytes with their content type."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json; charset=utf-8"

    def payload(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return b"" if self.body is None else json.dumps(self.body).encode()


class Refused(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.answer = problem(status, message, **extra)


def problem(status: int, message: str, **extra: Any) -> Answer:
    return Answer(status=status, body={"message": message, "documentation_url": DOCS, "status": str(status), **extra})


def not_found() -> Refused:
    return Refused(404, "Not Found")


def invalid(resource: str, message: str, field_name: str | None = None) -> Refused:
    """422 with one error, as GitHub words it."""
    detail = {"resource": resource, "code": "custom", "message": message}
    if field_name is not None:
        detail |= {"field": field_name, "code": "invalid"}
    return Refused(422, "Validation Failed", errors=[detail])


def paged(items: list[Any], query: dict[str, str], url: str, wrap: str | None = None) -> Answer:
    """One page of the items (`page`, `per_page`: 30 unless asked, 100 at most), with GitHub's Link header."""
    per_page = min(max(_number(query.get("per_page"), 30), 1), 100)
    page = max(_number(query.get("page"), 1), 1)
    last = max((len(items) + per_page - 1) // per_page, 1)
    part = items[(page - 1) * per_page : page * per_page]
    links = []
    wanted = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    for rel, number in wanted.items():
        ahead = rel in {"next", "last"} and page < last
        behind = rel in {"prev", "first"} and page > 1
        if ahead or behind:
            links.append(f'<{url}?{urlencode({**query, "per_page": per_page, "page": number})}>; rel="{rel}"')
    body = part if wrap is None else {"total_count": len(items), wrap: part}
    return Answer(body=body, headers={"Link": ", ".join(links)} if links else {})


def etag(payload: bytes) -> str:
    return f'W/"{hashlib.sha256(payload).hexdigest()}"'


def _number(value: str | None, default: int) -> int:
    return int(value) if value is not None and value.isdecimal() and len(value) < 9 else default
