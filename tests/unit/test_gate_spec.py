from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from gates.errors import BadGateSpec
from gates.findings import DEFAULT_WEIGHTS, FindingKind, Weight
from gates.plan import Gate, GatePlan, plan
from gates.policy import Policy
from gates.reviewers import ReportFormat, Reviewer
from gates.spec import MAX_FILE_BYTES, GateFile, parse_gate_file, schema_text
from gates.test_runners import TestRunner

DOCS = Path(__file__).parents[2] / "docs"

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
LINT = GATE.replace("test", "lint")
REVIEWER = '[[reviewer]]\nname = "eyes"\nrun = "look"\nreport = "eyes.sarif"\n'
POLICY = "[policy]\n"


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
        (GATE + 'image = ""', "gate.1.image:"),
        (GATE + 'image = "a b"', "gate.1.image:"),
        (GATE + 'image = "a`b`"', "gate.1.image:"),
        (GATE + 'image = "a$(b)"', "gate.1.image:"),
        (GATE + 'image = "a\\n"', "gate.1.image:"),
        (GATE + f'image = "{"a" * 501}"', "gate.1.image:"),
        (GATE + 'directory = "/etc"', "gate.1.directory:"),
        (GATE + 'directory = "a/../.."', "gate.1.directory:"),
        (GATE + 'directory = "."', "gate.1.directory:"),
        (GATE + 'directory = "a/"', "gate.1.directory:"),
        (GATE + 'directory = ""', "gate.1.directory:"),
        (GATE + 'directory = "a\\nb"', "gate.1.directory:"),
        (GATE + f'directory = "{"a" * 201}"', "gate.1.directory:"),
        (GATE + 'paths = ["../x"]', "gate.1.paths.1:"),
        (GATE + 'paths = ["a//b"]', "gate.1.paths.1:"),
        (GATE + f"paths = {['a'] * 51}", "gate.1.paths:"),
        (GATE + 'environment = { "A B" = "1" }', "gate.1.environment.A B:"),
        (GATE + 'runner = "ctest"', "gate.1.runner:"),
        (GATE + 'required = "no"', "gate.1.required:"),
        (GATE + "required = false", "gate.required:"),
        (GATE + 'needs = ["lint"]', "gate.needs:"),
        (GATE + 'needs = ["test"]', "gate.needs:"),
        (GATE + 'needs = ["lint"]\n' + LINT + 'needs = ["test"]', "gate.needs:"),
        (GATE + 'needs = ["lint"]\n' + LINT + "required = false", "gate.needs:"),
        (
            GATE + LINT + "required = false\n" + LINT.replace("lint", "more") + 'needs = ["lint"]\nrequired = false',
            "gate.needs:",
        ),
        (GATE + REVIEWER.replace('"eyes"', '"test"'), "reviewer.name:"),
        (GATE + REVIEWER + REVIEWER, "reviewer.name:"),
        (GATE + REVIEWER + 'format = "html"', "reviewer.1.format:"),
        (GATE + REVIEWER.replace("eyes.sarif", "../eyes"), "reviewer.1.report:"),
        (GATE + REVIEWER + "timeout_s = 0", "reviewer.1.timeout_s:"),
        (GATE + "".join(REVIEWER.replace("eyes", f"e{number}") for number in range(11)), "reviewer:"),
        (GATE + POLICY + 'tests-gone = "never"', "policy.tests-gone:"),
        (GATE + POLICY + 'tests_gone = "fail"', "policy.tests_gone:"),
        (GATE + POLICY + 'no-such-thing = "fail"', "policy.no-such-thing:"),
        (GATE + POLICY + "retries = 4", "policy.retries:"),
        (GATE + POLICY + "retries = true", "policy.retries:"),
        (GATE + POLICY + 'require_reproducer = true\nno-reproducer = "show"', "policy.no-reproducer:"),
        (GATE + f"[setup]\nrun = ['{'x' * 2001}']", "setup.run.1:"),
        (GATE + "[setup]\nrun = [' ']", "setup.run.1:"),
        ('local = "none"\n' + POLICY, "local:"),
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
        (GATE + SERVICE + 'writable = ["/proc/self"]\n', "service.1.writable.1:"),
        (GATE + SERVICE + 'writable = ["/dev"]\n', "service.1.writable.1:"),
        (GATE + SERVICE + 'writable = ["/ashigaru/out"]\n', "service.1.writable.1:"),
        (GATE + SERVICE + f'writable = ["/{"a" * 200}"]\n', "service.1.writable.1:"),
        (GATE + SERVICE + "memory_mb = 4097\n", "service.1.memory_mb:"),
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


def test_a_circle_of_needs_is_told_as_it_goes_round() -> None:
    told = refusal(GATE + 'needs = ["lint"]\n' + LINT + 'needs = ["test"]')
    assert "lint needs test needs lint" in told or "test needs lint needs test" in told


def test_what_a_gate_may_say_of_itself_comes_to_a_gate() -> None:
    told = plan(
        (
            GATE
            + """
            image = "localhost/api:1"
            directory = "packages/api"
            environment = { B = "2", A = "1" }
            paths = ["packages/api/**", "*.toml"]
            needs = ["lint", "lint"]
            runner = "pytest"
            printed = true
            """
            + LINT
        ).encode(),
        (),
        lambda _: None,
    )
    assert isinstance(told, GatePlan)
    assert told.declared
    assert told.gates[0] == Gate(
        name="test",
        run="true",
        junit=None,
        timeout_s=600,
        printed=True,
        runner=TestRunner.PYTEST,
        image="localhost/api:1",
        directory="packages/api",
        environment=(("A", "1"), ("B", "2")),
        paths=("packages/api/**", "*.toml"),
        needs=("lint",),
    )


@pytest.mark.parametrize(
    ("run", "said", "runner"),
    [
        ("python3 -m pytest -q", None, TestRunner.PYTEST),
        ("python3 -m pytest -q", "none", None),
        ("make test", None, None),
        ("make test", "go", TestRunner.GO),
    ],
)
def test_a_gates_runner_is_the_one_that_is_said_else_the_one_its_command_names(
    run: str, said: str | None, runner: TestRunner | None
) -> None:
    told = GATE.replace("true", run) + ("" if said is None else f'runner = "{said}"\n')
    found = plan(told.encode(), (), lambda _: None)
    assert isinstance(found, GatePlan)
    assert found.gates[0].runner is runner


def test_a_policy_says_what_differs_from_the_weights_there_are() -> None:
    told = plan(
        (
            GATE
            + POLICY
            + """
            tests-gone = "fail"
            flaky = "show"
            require_reproducer = true
            allow_red_base = true
            keep_going = true
            retries = 3
            """
        ).encode(),
        (),
        lambda _: None,
    )
    assert isinstance(told, GatePlan)
    assert told.policy == Policy(
        weights=((FindingKind.FLAKY, Weight.SHOW), (FindingKind.TESTS_GONE, Weight.FAIL)),
        require_reproducer=True,
        allow_red_base=True,
        keep_going=True,
        retries=3,
    )
    assert told.policy.weighing() == {
        FindingKind.FLAKY: Weight.SHOW,
        FindingKind.TESTS_GONE: Weight.FAIL,
        FindingKind.NO_REPRODUCER: Weight.FAIL,
    }


def test_without_a_policy_nothing_differs_and_a_red_gate_is_asked_once_more() -> None:
    told = plan(GATE.encode(), (), lambda _: None)
    assert isinstance(told, GatePlan)
    assert told.policy == Policy()
    assert (told.policy.weighing(), told.policy.retries) == ({}, 1)
    assert plan((GATE + POLICY).encode(), (), lambda _: None) == told


@pytest.mark.parametrize("kind", FindingKind)
@pytest.mark.parametrize("weight", Weight)
def test_every_kind_of_finding_can_be_given_every_weight(kind: FindingKind, weight: Weight) -> None:
    told = plan((GATE + POLICY + f'{kind} = "{weight}"').encode(), (), lambda _: None)
    assert isinstance(told, GatePlan)
    assert told.policy.weights == ((kind, weight),)


@pytest.mark.parametrize("runner", TestRunner)
def test_every_test_runner_can_be_named(runner: TestRunner) -> None:
    told = plan((GATE + f'runner = "{runner}"').encode(), (), lambda _: None)
    assert isinstance(told, GatePlan)
    assert told.gates[0].runner is runner


def test_a_reviewer_is_kept_apart_from_the_gates() -> None:
    told = plan((GATE + REVIEWER + 'format = "json"\nblocking = true\ntimeout_s = 9').encode(), (), lambda _: None)
    assert isinstance(told, GatePlan)
    assert [gate.name for gate in told.gates] == ["test"]
    assert told.reviewers == (
        Reviewer(
            name="eyes",
            run="look",
            report="eyes.sarif",
            format=ReportFormat.JSON,
            timeout_s=9,
            blocking=True,
        ),
    )


def schema() -> Draft202012Validator:
    told = json.loads((DOCS / "ashigaru.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(told)
    return Draft202012Validator(told)


def test_the_published_schema_is_the_one_that_is_read_by() -> None:
    assert (DOCS / "ashigaru.schema.json").read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("text", [WHOLE, GATE, GATE + REVIEWER + SERVICE + POLICY + 'tests-gone = "fail"'])
def test_an_editor_that_goes_by_the_schema_takes_what_is_taken(text: str) -> None:
    assert list(schema().iter_errors(tomllib.loads(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        GATE + "retry = 1",
        GATE + 'image = "a;b"',
        GATE + 'directory = "../x"',
        GATE + 'junit = "a/b.xml"',
        GATE + 'environment = { "A B" = "" }',
        GATE + POLICY + 'tests-gone = "never"',
        GATE.replace("true", " "),
        GATE.replace('"test"', '"Test"'),
        GATE + SERVICE + 'writable = ["/proc/x"]',
    ],
)
def test_an_editor_that_goes_by_the_schema_refuses_what_is_refused(text: str) -> None:
    assert refusal(text)
    assert list(schema().iter_errors(tomllib.loads(text)))


@given(st.binary(max_size=300) | st.text(alphabet='[]{}="gatenmru.\n 1', max_size=200).map(str.encode))
def test_whatever_the_bytes_are_they_are_a_gate_file_or_a_refusal(data: bytes) -> None:
    told: GateFile | str
    try:
        told = parse_gate_file(data)
    except BadGateSpec as exc:
        told = str(exc)

    assert told.gate or told.local == "none" if isinstance(told, GateFile) else told.endswith(".")


def test_the_page_names_every_finding_with_the_weight_that_it_has_by_itself() -> None:
    page = (DOCS / "gates.md").read_text(encoding="utf-8")
    does = {Weight.FAIL: "fails", Weight.NEEDS_HUMAN: "needs human", Weight.SHOW: "shown"}
    table = page.partition("| finding | what it tells | does |\n")[2].partition("\n\n")[0].splitlines()
    for kind in FindingKind:
        (row,) = [line for line in table if f"`{kind}`" in line.split(" | ")[0]]
        assert row.endswith(f"| {does[DEFAULT_WEIGHTS[kind]]} |")


def test_the_example_of_the_operators_page_is_what_a_fleet_file_takes() -> None:
    page = (DOCS / "fleet.md").read_text(encoding="utf-8").partition("## Gates")[2]
    told = tomllib.loads(page.partition("```toml\n")[2].partition("```")[0])
    assert GateFile.model_validate(told["repo"]["acme/widgets"]["gates"]).gate[0].name == "test"
