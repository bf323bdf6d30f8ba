"""What a Node repository's files show: whether there are tests, how they are run, and how packages are installed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.ecosystem import OUT, WORKSPACE, Gate
from gates.node_project import LINKS, TREE, install_command
from gates.plan import GatePlan, NoGate, setup_script
from tests.fakes.gate_plans import found

LOCKED = {"package-lock.json": "{}", "yarn.lock": "# yarn lockfile v1\n", "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}


def package(**told: Any) -> str:
    return json.dumps({"scripts": {"test": "node --test"}, **told})


def gate_of(script: str, **others: str) -> Gate:
    made = found({"package.json": json.dumps({"scripts": {"test": script, **others}})})
    assert isinstance(made, GatePlan)
    (gate,) = made.gates
    return gate


def test_a_test_script_is_the_gate_and_without_dependencies_nothing_is_set_up() -> None:
    made = found({"package.json": package()})

    assert isinstance(made, GatePlan)
    assert [gate.name for gate in made.gates] == ["test"]
    assert made.setup is None
    assert dict(made.environment)["CI"] == "true"


@pytest.mark.parametrize(
    "script",
    [
        'echo "Error: no test specified" && exit 1',
        "",
        "  \n",
        'echo "none yet"',
        "exit 0",
        "true",
        ":",
        "echo one; echo two || true",
    ],
)
def test_a_script_that_runs_nothing_is_not_a_gate(script: str) -> None:
    assert isinstance(found({"package.json": json.dumps({"scripts": {"test": script}})}), NoGate)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"scripts": {"test": 1}}',
        b'{"scripts": {"test": ["node --test"]}}',
        b'{"scripts": ["test"]}',
        b'{"scripts": "node --test"}',
        b'{"scripts": {"test": "node --test"}, "scripts": {}}',
        b'{"scripts": {"test": "node --test"}}' + b" " * 1024 * 1024,
    ],
)
def test_a_package_json_that_says_nothing_usable_is_no_gate_and_no_fault(content: bytes) -> None:
    assert isinstance(found({"package.json": content}), NoGate)


def test_the_last_of_two_like_keys_counts_as_it_does_for_npm() -> None:
    made = found({"package.json": '\ufeff{"scripts": {"test": "exit 0", "test": "node --test"}}'})

    assert isinstance(made, GatePlan)


def test_a_package_json_below_the_top_is_not_read() -> None:
    assert isinstance(found({"site/package.json": package()}), NoGate)


KEYS = st.sampled_from(["scripts", "test", "dependencies", "packageManager", "workspaces"])
PLAIN = st.none() | st.integers() | st.text(max_size=5)


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8))
def test_whatever_json_it_is_there_is_a_plan_or_none(told: object) -> None:
    found({"package.json": json.dumps(told), "yarn.lock": ""})


# --- the packages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "files", "command"),
    [
        (None, {}, "npm install --no-package-lock"),
        (None, {"package-lock.json": ""}, "npm ci"),
        (None, {"npm-shrinkwrap.json": ""}, "npm ci"),
        (None, {"pnpm-lock.yaml": ""}, "pnpm install --frozen-lockfile"),
        (None, {"yarn.lock": "# yarn lockfile v1\n"}, "yarn install --frozen-lockfile --non-interactive"),
        (None, {"yarn.lock": "# generated\n\n__metadata:\n  version: 8\n"}, "yarn install --immutable"),
        ("npm@10.8.1", {"package-lock.json": ""}, "npm ci"),
        ("pnpm@9.1.0+sha256.abc", {"pnpm-lock.yaml": ""}, "pnpm install --frozen-lockfile"),
        ("pnpm@9.1.0", LOCKED, "pnpm install --frozen-lockfile"),
        ("yarn@1.22.22", LOCKED, "yarn install --frozen-lockfile --non-interactive"),
        ("yarn@4.1.0", {"yarn.lock": "__metadata:\n"}, "yarn install --immutable"),
        # What is named wins over another's lock file, and is then installed without one.
        ("pnpm@9.1.0", {"package-lock.json": ""}, "pnpm install --no-lockfile"),
        ("yarn@1.22.22", {}, "yarn install --no-lockfile --non-interactive"),
        ("yarn@4.1.0", {}, "yarn install --no-immutable"),
        # What cannot be understood is as if it were not there.
        ("bun@1.0.0", {"yarn.lock": ""}, "yarn install --frozen-lockfile --non-interactive"),
        ("npm; rm -rf /", {}, "npm install --no-package-lock"),
        (7, {}, "npm install --no-package-lock"),
        (["yarn@4.1.0"], {"package-lock.json": ""}, "npm ci"),
    ],
)
def test_the_named_package_manager_installs_else_the_lock_files(
    named: object, files: Mapping[str, str], command: str
) -> None:
    assert install_command(named, list(files), lambda path: files[path].encode()) == command


@pytest.mark.parametrize("kind", ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"])
def test_any_kind_of_dependency_is_set_up_and_keyed_by_the_files_that_name_it(kind: str) -> None:
    made = found({"package.json": package(**{kind: {"a": "1"}}), "package-lock.json": "{}"})

    assert isinstance(made, GatePlan)
    assert made.setup is not None
    assert made.setup.commands[0].endswith("npm ci")
    keyed = made.setup.matching(["package.json", "package-lock.json", "parts/a/package.json", ".npmrc", "index.js"])
    assert keyed == (".npmrc", "package-lock.json", "package.json", "parts/a/package.json")


@pytest.mark.parametrize("files", [{"package.json": package(workspaces=["parts/*"])}, {"pnpm-workspace.yaml": ""}])
def test_a_repository_of_several_packages_is_set_up_for_the_links_between_them(files: dict[str, str]) -> None:
    made = found({"package.json": package(), **files})

    assert isinstance(made, GatePlan)
    assert made.setup is not None


def shell(script: str, root: Path) -> subprocess.CompletedProcess[str]:
    """The script with the sandbox's places moved below `root`."""
    moved = script.replace(WORKSPACE, str(root / "work")).replace("/ashigaru/env", str(root / "env"))
    environment = {"PATH": f"{root}/bin:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "-c", moved],
        env=environment,
        cwd=root / "work",
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )


def placed(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


NPM = """#!/bin/sh
mkdir -p node_modules/.bin node_modules/far parts/a/node_modules/near node_modules/@own "$npm_config_cache"
echo far > node_modules/far/index.js
echo near > parts/a/node_modules/near/index.js
ln -s ../far/index.js node_modules/.bin/far
ln -s ../../parts/a node_modules/@own/a
"""


def test_what_was_installed_is_found_from_the_judged_tree_and_the_repositorys_own_parts_are_the_judged_ones(
    tmp_path: Path,
) -> None:
    made = found({"package.json": package(workspaces=["parts/*"]), "package-lock.json": "{}"})
    assert isinstance(made, GatePlan)
    assert made.setup is not None
    placed(tmp_path, {"bin/npm": NPM, "work/parts/a/index.js": "base\n", "env/x": ""})
    (tmp_path / "bin/npm").chmod(0o755)
    ran = shell(setup_script(made, made.setup), tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in (tmp_path / "env").iterdir()) == ["tree", "x"]

    (tmp_path / "work").rename(tmp_path / "base")
    # The judged tree has another part, and brings along what would shadow a package.
    placed(tmp_path / "work", {"parts/a/index.js": "judged\n", "node_modules/far/index.js": "shadow\n"})
    script = (
        f"cd {WORKSPACE}\n{LINKS}\n"
        "cat node_modules/far/index.js node_modules/.bin/far node_modules/@own/a/index.js "
        'parts/a/node_modules/near/index.js; touch node_modules/.cache; echo "$PATH"'
    )
    ran = shell(script, tmp_path)

    assert ran.stdout.splitlines()[:4] == ["far", "far", "judged", "near"], ran.stderr
    assert ran.stdout.splitlines()[4].startswith(f"{tmp_path}/work/node_modules/.bin:")
    assert (tmp_path / "work/node_modules/.cache").exists()
    assert not (tmp_path / "env/tree/node_modules/.cache").exists()


def test_a_node_modules_that_is_somebodys_test_data_stays_the_judged_trees(tmp_path: Path) -> None:
    made = found({"package.json": package(workspaces=["parts/*"]), "package-lock.json": "{}"})
    assert isinstance(made, GatePlan)
    assert made.setup is not None
    data = "tests/data/node_modules/x/index.js"
    placed(tmp_path, {"bin/npm": NPM, f"work/{data}": "base\n", "env/x": "", "work/node_modules/committed.js": ""})
    (tmp_path / "bin/npm").chmod(0o755)

    ran = shell(setup_script(made, made.setup), tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "env/tree/tests").exists()
    assert (tmp_path / "env/tree/node_modules/far").exists()


def test_a_part_that_the_judged_tree_no_longer_has_is_left_out(tmp_path: Path) -> None:
    placed(tmp_path, {"env/tree/node_modules/a/i.js": "", "env/tree/parts/gone/node_modules/b/i.js": "", "work/x": ""})

    ran = shell(f"cd {WORKSPACE}\n{LINKS}\n", tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "work/node_modules/a/i.js").exists()
    assert not (tmp_path / "work/parts").exists()


def test_without_a_set_up_the_trees_own_node_modules_stay(tmp_path: Path) -> None:
    placed(tmp_path, {"work/node_modules/a/i.js": "own\n"})

    ran = shell(f"cd {WORKSPACE}\n{LINKS}\ncat node_modules/a/i.js", tmp_path)

    assert (ran.stdout, TREE) == ("own\n", "/ashigaru/env/tree")


# --- the runner ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "others"),
    [
        ("node --test", {}),
        ("NODE_ENV=test node --import tsx --test 'test/**/*.ts'", {}),
        ("c8 node --test", {}),
        ("npm run build && npm run unit", {"build": "tsc", "unit": "node --test test/"}),
        ("yarn lint && yarn unit", {"lint": "eslint .", "unit": "node --test"}),
        ("npm run a", {"a": "npm run b", "b": "node --test", "posttest": "eslint ."}),
    ],
)
def test_nodes_own_runner_is_asked_for_a_report_through_any_wrapper(script: str, others: dict[str, str]) -> None:
    gate = gate_of(script, **others)

    assert gate.junit == "junit-test.xml"
    assert gate.run.endswith(" npm test")
    assert f"--test-reporter=junit --test-reporter-destination={OUT}/junit-test.xml" in gate.run


@pytest.mark.parametrize(
    ("script", "report", "options"),
    [
        ("jest", "jest-test.json", f"--json --outputFile={OUT}/jest-test.json"),
        ("eslint . && jest --coverage", "jest-test.json", "--json"),
        ("NODE_OPTIONS=--experimental-vm-modules npx jest", "jest-test.json", "--json"),
        ("node --experimental-vm-modules node_modules/jest/bin/jest.js", "jest-test.json", "--json"),
        ("cross-env NODE_ENV=test nyc mocha --recursive", "junit-test.xml", "--reporter xunit"),
        ("vitest run", "junit-test.xml", f"--outputFile.junit={OUT}/junit-test.xml"),
        ("tsc -b; ./node_modules/.bin/vitest run", "junit-test.xml", "--reporter=junit"),
    ],
)
def test_a_known_runner_at_the_scripts_end_is_asked_for_a_report(script: str, report: str, options: str) -> None:
    gate = gate_of(script)

    assert gate.junit == report
    assert gate.run.startswith("npm test -- ")
    assert options in gate.run


@pytest.mark.parametrize(
    ("script", "others"),
    [
        ("jest && eslint .", {}),
        ("jest | tee log", {}),
        ("jest > log", {}),
        ("jest --json", {}),
        ("mocha --reporter dot", {}),
        ("mocha -R dot", {}),
        ("vitest run --reporter=verbose", {}),
        ("jest 'unbalanced", {}),
        ("$(npm bin)/jest", {}),
        ("tap", {}),
        ("my-jest", {}),
        ("eslint jest", {}),
        ("npm run unit", {"unit": "jest"}),
        ("npm run unit", {}),
        ("jest", {"posttest": "echo done"}),
        ("node --test a && node --test b", {}),
        ("node --test --test-reporter=tap", {}),
        ("node script.js --test", {"x": ""}),
        ("npm test", {}),
        ("turbo run test", {}),
    ],
)
def test_otherwise_what_the_runner_prints_is_the_evidence(script: str, others: dict[str, str]) -> None:
    gate = gate_of(script, **others)

    assert gate.printed
    assert (gate.run, gate.junit) == ("npm test", None)


def test_scripts_that_call_each_other_in_a_circle_end() -> None:
    assert gate_of("npm run a", a="npm run b", b="npm run a").junit is None
