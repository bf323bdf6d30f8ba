"""What is planned for a repository of these files."""

from __future__ import annotations

from collections.abc import Mapping

from gates.plan import GatePlan, NoGate, plan

GO = {"go.mod": "module a\n", "a_test.go": ""}
RUST = {"Cargo.toml": '[package]\nname = "a"\n', "tests/it.rs": ""}
MAVEN = {"pom.xml": "<project/>", "src/test/java/ex/CalcTest.java": ""}
GRADLE = {"build.gradle.kts": "", "src/test/kotlin/CalcTest.kt": ""}


def found(files: Mapping[str, str | bytes]) -> GatePlan | NoGate:
    def read(path: str) -> bytes | None:
        told = files.get(path)
        return told.encode() if isinstance(told, str) else told

    made = plan(None, list(files), read)
    assert isinstance(made, GatePlan | NoGate)
    return made


def planned(files: Mapping[str, str | bytes]) -> GatePlan:
    made = found(files)
    assert isinstance(made, GatePlan)
    return made


def set_up(files: Mapping[str, str | bytes]) -> str:
    setup = planned(files).setup
    return "" if setup is None else "\n".join(setup.commands)
