"""What a check left to read: a job's log, downloaded within bounds, or else what it says of itself."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests

from runner.adapters.github_checks import ACTIONS
from runner.adapters.github_faults import Declined, Missing, unreachable
from runner.adapters.github_house import GithubHouse, Repository
from runner.model import Check

_REF: Final = re.compile(r"run:(\d{1,18})|status:([0-9a-f]{40,64}):(\d{1,18})")
_CHUNK: Final = 64 * 1024
_MAX_DOWNLOAD: Final = 64 * 1024 * 1024
_MAX_HOPS: Final = 3
_CUT: Final = b"\n[the log goes on: it was read only so far]\n"


def log(house: GithubHouse, repo: Repository, check: Check, max_bytes: int) -> str:
    """See `Forge.check_log`."""
    parts = _REF.fullmatch(check.ref)
    if parts is None or parts[1] is None:
        return _end(check.summary.encode("utf-8", "replace"), max_bytes)
    number = int(parts[1])
    if check.source == ACTIONS:
        data = _job_log(house, repo, number, max_bytes)
        if data.strip():
            return _end(data, max_bytes)
    run = house.find(repo, f"/check-runs/{number}")
    told = check.summary if run is None else "\n\n".join(_words(house, repo, run))
    return _end(told.encode("utf-8", "replace"), max_bytes)


def _words(house: GithubHouse, repo: Repository, run: dict[str, Any]) -> list[str]:
    output = run.get("output") or {}
    words = [str(output.get(key) or "").strip() for key in ("title", "summary", "text")]
    if output.get("annotations_count"):
        notes = house.pages(repo, f"/check-runs/{int(run['id'])}/annotations")
        words.append("\n".join(f"{one['path']}:{one['start_line']}: {one['message']}" for one in notes))
    return [word for word in words if word]


def _job_log(house: GithubHouse, repo: Repository, job: int, max_bytes: int) -> bytes:
    """The end of the job's log; b"" where it is gone or there is none. A job has its check run's id."""
    try:
        answer = house.client.once(lambda: None, lambda: house.send(repo, "GET", f"/actions/jobs/{job}/logs"))
    except (Missing, Declined):
        return b""
    if answer.location:
        return download(house, answer.location, max_bytes)
    return answer.data.encode() if isinstance(answer.data, str) else b""


def download(house: GithubHouse, url: str, max_bytes: int) -> bytes:
    """The last `max_bytes` bytes of what is at an address that GitHub sent us to: asked without our credential.

    At most 64 MiB are read, and not beyond the deadline; of a longer log it is the end of what was read, and a last
    line says that it goes on.
    """
    client = house.client
    kept = bytearray()
    with requests.Session() as session:
        # Without an authentication of its own, requests would take one from a .netrc file.
        session.auth = _nobody
        for _ in range(_MAX_HOPS):
            if urlsplit(url).scheme not in {"https", urlsplit(client.url).scheme}:
                return b""
            try:
                with session.get(url, stream=True, timeout=client.timeout_s, allow_redirects=False) as answer:
                    if answer.is_redirect:
                        url = urljoin(url, answer.headers["location"])
                        continue
                    if answer.status_code != requests.codes["ok"]:
                        return b""
                    read = 0
                    for chunk in answer.iter_content(_CHUNK):
                        read += len(chunk)
                        kept += chunk
                        del kept[: max(0, len(kept) - max_bytes)]
                        if read > _MAX_DOWNLOAD or client.left_s <= 0:
                            kept += _CUT
                            break
                    return bytes(kept)
            except requests.RequestException as exc:
                raise unreachable(exc) from exc
    return b""


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _end(data: bytes, max_bytes: int) -> str:
    return data[max(0, len(data) - max_bytes) :].decode("utf-8", "ignore")
