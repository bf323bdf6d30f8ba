"""Secrets of our own are found in every plain disguise, and nothing else is taken for one."""

from __future__ import annotations

import base64
import html
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.leaks import MIN_CHARS, Form, Marked, Watchlist, redact

TOKEN = "ghp_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX"
WATCHED = Watchlist([Marked(name="forge token", value=TOKEN)])
around = st.text(max_size=40)

DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "backwards": lambda text: text[::-1],
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper(),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of something around it, at 1": lambda text: base64.b64encode(b"x" + text.encode() + b"yz").decode(),
    "base64 of something around it, at 2": lambda text: base64.b64encode(b"xx" + text.encode() + b"y").decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"??>" + text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(text.encode() * 3).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base32 in small letters, at 3": lambda text: base64.b32encode(b"abc" + text.encode() + b"d").decode().lower(),
    "percent": lambda text: "".join(f"%{ord(ch):02x}" for ch in text),
    "string escapes": lambda text: "".join(f"\\x{ord(ch):02x}" for ch in text),
    "unicode escapes": lambda text: "".join(f"\\u{ord(ch):04x}" for ch in text),
    "a list of bytes": lambda text: ", ".join(hex(ord(ch)) for ch in text),
    "HTML": lambda text: "".join(f"&#{ord(ch)};" for ch in text),
    "words": lambda text: "' + '".join(text[at : at + 5] for at in range(0, len(text), 5)),
    "lines": "\n+".join,
    "zero-width": "\u200b".join,
    "its first half": lambda text: text[: len(text) // 2],
    "its second half": lambda text: text[len(text) // 2 :],
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
@given(before=around, after=around)
def test_a_secret_is_found_in_every_plain_disguise_whatever_stands_around_it(
    disguise: Callable[[str], str], before: str, after: str
) -> None:
    found = WATCHED.find(f"{before} {disguise(TOKEN)} {after}".encode("utf-8", "replace"))
    assert found is not None
    assert found.name == "forge token"


@given(secret=st.text(string.ascii_letters + string.digits + "-_.+/=", min_size=40, max_size=80), data=st.data())
def test_whatever_the_secret_is_it_is_found_and_at_whatever_place(secret: str, data: st.DataObject) -> None:
    kept = [ch for ch in secret if ch.isalnum()]
    watched = Watchlist([Marked(name="it", value=secret)])
    disguise = data.draw(st.sampled_from([one for name, one in DISGUISES.items() if "half" not in name]))
    if len(kept) >= MIN_CHARS:
        assert watched.find(data.draw(st.binary(max_size=30)), b" " + disguise(secret).encode()) is not None


@given(cut=st.integers(0, len(TOKEN)))
def test_a_split_between_two_parts_hides_nothing(cut: int) -> None:
    assert WATCHED.find("x = '" + TOKEN[:cut], TOKEN[cut:] + "'") is not None


@given(st.binary(max_size=2000))
def test_what_is_no_secret_is_not_taken_for_one(text: bytes) -> None:
    assert WATCHED.find(text) is None


def test_the_alphabet_the_project_and_its_own_words_are_no_secret() -> None:
    ours = Watchlist([Marked(name="it", value=TOKEN), Marked(name="short", value="hunter2")])
    assert ours.find(string.printable * 3, "hunter2", __doc__ or "") is None


def test_a_key_in_lines_is_found_by_any_of_its_lines() -> None:
    lines = [base64.b64encode(bytes([at]) * 7 + bytes(range(at, at + 41))).decode() for at in range(5)]
    key = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"])
    watched = Watchlist([Marked(name="App key", value=key)])
    for line in lines:
        assert watched.find(f"const = `{line}`") is not None
    assert watched.find("-----BEGIN RSA PRIVATE KEY-----") is None


def test_what_was_found_is_told_without_the_secret() -> None:
    found = WATCHED.find(TOKEN)
    assert found is not None
    assert (found.form, str(found)) == (Form.PLAIN, "forge token, as it is")
    assert TOKEN not in repr(found) + repr(Marked(name="it", value=TOKEN))


def test_a_line_of_a_log_tells_the_name_in_the_place_of_the_secret() -> None:
    marked = [Marked(name="forge token", value=TOKEN), Marked(name="short", value="hunter2")]
    assert redact(f"GET /?t={TOKEN} hunter2", marked) == "GET /?t=[redacted: forge token] hunter2"


def test_html_is_unescaped_by_name_too() -> None:
    assert WATCHED.find(html.escape(TOKEN).replace("_", "&#95;")) is not None
