from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.errors import BadGateSpec
from gates.spec import MAX_FILE_BYTES, GateFile, parse_gate_file

WHOLE = """
image = "localhost/my-gate:1"
environment = { CI = "1" }
[setup]
run = ["python3 -m venv /ashigaru/env/venv", "/ashigaru/env/venv/bin/pip install -r requirements.txt"]
manifests = ["pyproject.toml", "requirements*.txt"]
timeout_s = 300
[[gate]]
name = "lint"
run = "ruff check ."
[[gate]]
name = "test"
run = '''
set -e
python3 -m pytest -q --junitxml=/ashigaru/out/junit-test.xml
'''
junit = "junit-test.xml"
timeout_s = 7200
"""
SERVICE = """[[service]]
name = "db"
image = "localhost/services/db:1"
"""
GATE = '[[gate]]\nname = "test"\nrun = "true"\n'


def refusal(text: str | bytes) -> str:
    with pytest.raises(BadGateSpec) as caught:
        parse_gate_file(text.encode("utf-8") if isinstance(text, str) else text)
    return str(caught.value)


def test_everything_a_gate_file_may_say_is_read() -> None:
    told = parse_gate_file(WHOLE.encode())

    assert told.image == "localhost/my-gate:1"
    assert told.environment == {"CI": "1"}
    assert told.setup is not None
    assert told.setup.timeout_s == 300
    assert [gate.name for gate in told.gate] == ["lint", "test"]
    assert told.gate[1].junit == "junit-test.xml"


def test_one_gate_with_a_name_and_a_command_is_enough() -> None:
    told = parse_gate_file(GATE.encode())

    assert (told.image, told.setup, told.gate[0].junit, told.gate[0].timeout_s) == (None, None, None, 600)


def test_the_example_in_the_documentation_is_a_gate_file() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]

    assert [gate.name for gate in parse_gate_file(example.encode()).gate] == ["lint", "test"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "gate:"),
        ("gate = []", "gate:"),
        (GATE.replace("test", "Test"), "gate.1.name:"),
        (GATE.replace("test", "a" * 41), "gate.1.name:"),
        (GATE.replace("true", ""), "gate.1.run:"),
        (GATE.replace("true", "  \\n "), "gate.1.run:"),
        (GATE.replace("true", "a\\u0000b"), "gate.1.run:"),
        (GATE.replace("true", "x" * 2001), "gate.1.run:"),
        (GATE + GATE.replace('"true"', "[]").replace("test", "two"), "gate.2.run:"),
        (GATE + "timeout_s = 0", "gate.1.timeout_s:"),
        (GATE + "timeout_s = 7201", "gate.1.timeout_s:"),
        (GATE + "timeout_s = true", "gate.1.timeout_s:"),
        (GATE + 'junit = "../escape.xml"', "gate.1.junit:"),
        (GATE + 'retries = "3"', "gate.1.retries:"),
        ("network = true\n" + GATE, "network:"),
        ('image = "a; rm -rf /"\n' + GATE, "image:"),
        ('image = "--privileged"\n' + GATE, "image:"),
        ('image = "two words"\n' + GATE, "image:"),
        (f'image = "{"a" * 501}"\n' + GATE, "image:"),
        ('environment = { "A=$(id)" = "1" }\n' + GATE, "environment.A=$(id):"),
        ('environment = { A = "x\\u0000" }\n' + GATE, "environment.A:"),
        ("[setup]\nrun = []\n" + GATE, "setup.run:"),
        (f"[setup]\nrun = {['true'] * 21}\n" + GATE, "setup.run:"),
        ('[setup]\nrun = ["true"]\nmanifests = ["/etc/passwd"]\n' + GATE, "setup.manifests.1:"),
        (GATE + GATE, "gate.name:"),
        (GATE + SERVICE + SERVICE, "service.name:"),
        (GATE + SERVICE.replace("db:1", "db 1"), "service.1.image:"),
        (GATE + SERVICE + "ready_timeout_s = 0\n", "service.1.ready_timeout_s:"),
        (GATE + SERVICE + "memory_mb = 1\n", "service.1.memory_mb:"),
        (GATE + SERVICE + 'writable = ["data"]\n', "service.1.writable.1:"),
        (GATE + SERVICE + 'writable = ["/data/../etc"]\n', "service.1.writable.1:"),
        (GATE + "".join(SERVICE.replace('"db"', f'"db{number}"') for number in range(6)), "service:"),
        ('local = "none"\n' + GATE, "local:"),
        ('local = "none"\n' + SERVICE, "local:"),
        ('local = "sealed"\n', "gate:"),
        ('local = "perhaps"\n' + GATE, "local:"),
        ("".join(GATE.replace("test", f"g{number}") for number in range(21)), "gate:"),
    ],
)
def test_what_a_gate_file_may_not_say_is_refused_by_the_key_it_is_at(text: str, key: str) -> None:
    told = refusal(text)

    assert told.startswith(key)
    assert told.endswith(".")
    assert "\n" not in told


@pytest.mark.parametrize(
    "data",
    [
        b"gate = ",
        b"\xff\xfe",
        b"a = " + b"[" * 20_000,  # deeper than the parser can go
        b"a = " + b"9" * 20_000,  # longer than Python makes an integer of
        GATE.encode() + b"#" * MAX_FILE_BYTES,
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(data: bytes) -> None:
    told = refusal(data)

    assert len(told) < 400
    assert "\n" not in told


@given(st.binary(max_size=300) | st.text(alphabet='[]{}="gatenmru.\n 1', max_size=200).map(str.encode))
def test_whatever_the_bytes_are_they_are_a_gate_file_or_a_refusal(data: bytes) -> None:
    told: GateFile | str
    try:
        told = parse_gate_file(data)
    except BadGateSpec as exc:
        told = str(exc)

    assert told.gate or told.local == "none" if isinstance(told, GateFile) else told.endswith(".")
