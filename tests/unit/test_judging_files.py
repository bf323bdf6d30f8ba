"""Which files are tests, which say how they are run, which are both and which neither."""

from __future__ import annotations

import pytest

from gates.test_files import FileKind, kind_of, shadows

KINDS = {
    FileKind.TEST: """
        test_calc.py pkg/calc_test.py tests/data.json tests.py app/tests/__init__.py Tests/a.py tests/api_stubs.pyi
        src/a.test.ts src/a.spec.mjs cypress/a.cy.js __tests__/a.js test-a.js a-test.mjs src/__snapshots__/a.snap
        calc_test.go testdata/in.txt tests/it.rs tests/common/mod.rs src/parser/tests.rs src/snapshots/a.snap
        src/calc_tests.rs src/test/java/ex/CalcTest.java src/test/resources/in.xml module/src/test/kotlin/Any.kt
        it/CalcIT.java fixtures/a.yaml tests/projects/one/package.json spec/a_spec.rb spec/helper.js features/a.feature
        a.approved.txt tests/package.json.golden
    """,
    FileKind.RUNNER: """
        conftest.py tests/conftest.py pytest.ini .pytest.ini tox.ini noxfile.py .coveragerc sitecustomize.py a.pth
        evil.dist-info/entry_points.txt src/evil.egg-info/entry_points.txt
        jest.config.js jest.setup.ts vitest.config.mts vite.config.ts .mocharc.json babel.config.js .babelrc .npmrc
        src/setupTests.js node_modules/jest/index.js sub/node_modules/a.js .yarn/releases/yarn.cjs tsconfig.spec.json
        go.work build.rs .cargo/config.toml rust-toolchain.toml .config/nextest.toml vendor/github.test/a/a.go
        .mvn/maven.config mvnw gradlew build.gradle app/build.gradle.kts settings.gradle gradle/wrapper/a.jar
        buildSrc/src/main/java/A.java src/main/resources/junit-platform.properties
        src/main/resources/META-INF/services/org.junit.platform.launcher.TestExecutionListener
        Makefile sub/rules.mk justfile Taskfile.yml run_tests.sh .pre-commit-config.yaml ruff.toml .flake8 mypy.ini
        eslint.config.js .golangci.yml
    """,
    FileKind.MIXED: """
        pyproject.toml sub/pyproject.toml setup.cfg package.json Cargo.toml crates/a/Cargo.toml go.mod pom.xml
    """,
    FileKind.SOURCE: """
        calc.py src/calc.py contest.py latest.js attest.go src/lib.rs src/main/java/ex/Tests.java Latest.java
        src/main/java/ex/SpeedTest.java README.md go.sum package-lock.json Cargo.lock gradle/libs.versions.toml
        src/spec/mod.rs spec/calc.py src/snapshots/mod.rs src/testing.py src/inspect_data.py docs/tests.md json.py
    """,
}


@pytest.mark.parametrize(("path", "kind"), [(path, kind) for kind, paths in KINDS.items() for path in paths.split()])
def test_a_path_says_what_it_is(path: str, kind: FileKind) -> None:
    assert kind_of(path) is kind


@pytest.mark.parametrize(
    "path",
    [
        "pytest.py",
        "src/pytest.py",
        "_pytest/__init__.py",
        "src/_pytest/__init__.py",
        "unittest/__init__.py",
        "json.py",
        "src/json.py",
        "random.cpython-311-x86_64-linux-gnu.so",
        "pluggy.pyc",
        "pytest_evil.py",
        "_pytest/__init__.pyc",
    ],
)
def test_a_module_that_would_stand_for_pythons_own_is_a_runner_file_where_it_is_added(path: str) -> None:
    assert shadows(path)
    assert kind_of(path, added=True) is FileKind.RUNNER
    assert kind_of(path) is FileKind.SOURCE


@pytest.mark.parametrize(
    "path",
    ["pkg/json.py", "src/pkg/pytest.py", "json/data.py", "test.py", "test/__init__.py", "calc.py", "json.md", ""],
)
def test_what_python_would_not_import_in_the_stead_of_its_own_is_none(path: str) -> None:
    assert not shadows(path)
