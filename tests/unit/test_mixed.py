"""A change's manifests with what the base says of tests in them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.mixed import base_sections

PACKAGE = {"name": "a", "scripts": {"test": "jest"}, "jest": {"bail": 1}, "dependencies": {"a": "1"}}
PYPROJECT = b'[project]\nname = "a"\ndependencies = ["b"]\n[tool.pytest.ini_options]\naddopts = "-q"\n'
SETUP_CFG = b"[metadata]\nname = a\n\n[tool:pytest]\naddopts = -q\n"
CARGO = b'[package]\nname = "a"\nversion = "1.0.0"\n\n[dependencies]\nb = "1"\n\n[[test]]\nname = "it"\n'
GO = b"module a\n\ngo 1.19\n\nrequire b v1.0.0\n"
POM = b"""<project xmlns="urn:pom"><parent><version>1</version></parent><properties><a>1</a></properties>
<dependencies><dependency><artifactId>junit</artifactId></dependency></dependencies>
<build><plugins>
<plugin><artifactId>maven-surefire-plugin</artifactId><configuration><x>1</x></configuration></plugin>
</plugins></build></project>"""


def package(**told: object) -> bytes:
    return json.dumps({**PACKAGE, **told}).encode()


@pytest.mark.parametrize(
    ("path", "base", "head"),
    [
        ("package.json", package(), package(dependencies={"a": "2"}, name="b")),
        ("pyproject.toml", PYPROJECT, PYPROJECT.replace(b'"b"', b'"b", "c"')),
        ("pyproject.toml", PYPROJECT, PYPROJECT + b"[tool.hatch]\na = 1\n"),
        ("setup.cfg", SETUP_CFG, SETUP_CFG.replace(b"name = a", b"name = b")),
        ("Cargo.toml", CARGO, CARGO.replace(b'b = "1"', b'b = "2"\nc = "1"')),
        ("go.mod", GO, GO + b"require c v1.0.0\n"),
        ("pom.xml", POM, POM.replace(b"junit", b"other").replace(b"<a>1", b"<a>2")),
        ("pom.xml", POM, POM.replace(b"<x>", b"\n  <x>")),
        ("README.md", b"a", b"b"),
    ],
)
def test_what_a_change_says_of_anything_else_is_its_own(path: str, base: bytes, head: bytes) -> None:
    assert base_sections(path, base, head) is None
    assert base_sections(f"sub/{path}", base, base) is None


@pytest.mark.parametrize(
    ("path", "quiet", "loud"),
    [
        ("package.json", b'{"name": "a"}', package()),
        ("pyproject.toml", b'[project]\nname = "a"\n', PYPROJECT),
        ("setup.cfg", b"[metadata]\nname = a\n", SETUP_CFG),
        ("Cargo.toml", b'[package]\nname = "a"\n', CARGO),
        ("go.mod", GO, GO + b"replace b => ./b\n"),
        ("pom.xml", b"<project/>", POM),
    ],
)
def test_a_manifest_that_the_base_has_not_is_the_changes_where_it_says_nothing_of_tests(
    path: str, quiet: bytes, loud: bytes
) -> None:
    assert base_sections(path, b"", quiet) is None
    assert base_sections(path, b"", loud) is not None


@pytest.mark.parametrize(
    ("path", "base", "head"),
    [
        ("pyproject.toml", PYPROJECT, PYPROJECT.replace(b"-q", b"--co")),
        ("pyproject.toml", PYPROJECT, PYPROJECT + b"[tool.coverage.run]\nomit = ['*']\n"),
        ("pyproject.toml", PYPROJECT, PYPROJECT + b"[project.entry-points.pytest11]\na = 'a'\n"),
        ("pyproject.toml", PYPROJECT, b"not toml ["),
        ("setup.cfg", SETUP_CFG, SETUP_CFG.replace(b"-q", b"--co")),
        ("setup.cfg", SETUP_CFG, SETUP_CFG + b"[aliases]\ntest = x\n"),
        ("setup.cfg", b"[metadata]\na = b\n", b"[metadata]\n [tool:pytest]\n addopts = x\na = b\n"),
        ("setup.cfg", SETUP_CFG, b"\xff"),
        ("Cargo.toml", CARGO, CARGO + b"harness = false\n"),
        ("Cargo.toml", CARGO, CARGO + b"[lib]\ndoctest = false\n"),
        ("Cargo.toml", CARGO, CARGO + b"[profile.test]\ndebug-assertions = false\n"),
        ("Cargo.toml", CARGO, CARGO + b'[patch.crates-io]\nb = { path = "b" }\n'),
        ("Cargo.toml", CARGO, CARGO.replace(b'version = "1.0.0"', b"autotests = false")),
        ("pom.xml", POM, POM.replace(b"<a>1</a>", b"<skipTests>true</skipTests>")),
        ("pom.xml", POM, POM.replace(b"<x>1</x>", b"<testFailureIgnore>true</testFailureIgnore>")),
        ("pom.xml", POM, POM.replace(b"<plugins>", b"<testSourceDirectory>x</testSourceDirectory><plugins>")),
        (
            "pom.xml",
            POM,
            POM.replace(b"<plugins>", b"<plugins><plugin><artifactId>maven-antrun-plugin</artifactId></plugin>"),
        ),
        ("pom.xml", POM, b"<!DOCTYPE a><project/>"),
        ("package.json", package(), b"[]"),
        ("package.json", package(), b"[" * 100_000),
    ],
)
def test_what_a_change_says_of_tests_is_the_bases_whole_file(path: str, base: bytes, head: bytes) -> None:
    assert base_sections(path, base, head) == base


def test_a_package_keeps_its_dependencies_and_gets_the_bases_scripts() -> None:
    head = package(scripts={"test": "true"}, vitest={"a": 1}, dependencies={"a": "2"}, jest={})
    told = base_sections("package.json", package(), head)
    assert told is not None
    assert json.loads(told) == {**PACKAGE, "dependencies": {"a": "2"}}


def test_a_package_whose_base_has_no_such_section_has_none() -> None:
    told = base_sections("package.json", b'{"name": "a"}', package())
    assert told is not None
    assert json.loads(told) == {"name": "a", "dependencies": {"a": "1"}}


@pytest.mark.parametrize(
    "written", [b"replace b => ./fake\n", b"replace (\n\tb => ./fake // (\n)\n", b"replace(\nb => ./f\n)\n"]
)
def test_a_module_cannot_be_put_in_anothers_stead(written: bytes) -> None:
    more = GO + b"require c v1.0.0\n"
    assert base_sections("go.mod", GO, more + written) == more
    assert base_sections("go.mod", GO + written, more) == more + written
    assert base_sections("go.mod", GO + written, more + written) is None


@given(
    st.sampled_from(["package.json", "pyproject.toml", "setup.cfg", "Cargo.toml", "go.mod", "pom.xml", "a"]),
    st.binary(max_size=100) | st.sampled_from([PYPROJECT, SETUP_CFG, CARGO, GO, POM, package()]),
    st.binary(max_size=100),
)
def test_no_manifest_is_a_fault(path: str, base: bytes, head: bytes) -> None:
    assert base_sections(path, base, base) is None
    base_sections(path, base, head)
