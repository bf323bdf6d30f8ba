"""Recognised gates of Node, Makefile and justfile repositories, judged on real podman."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from gates.judge import judge
from gates.observed import Observation
from gates.plan import GatePlan, plan, setup_script, shell_script
from gates.verdict import Failed, Passed, Verdict
from runner.gateway.egress import Egress, EgressProxy
from runner.gateway.loop import GatewayLoop
from runner.sandbox import Owner, gate_spec, setup_spec
from runner.sandboxes import RunState, SandboxSpec, SandboxStatus
from tests.sandbox.npm_registry import PACKAGE, Registry, npm_registry
from tests.sandbox.podman_lab import PodmanLab

pytestmark = [pytest.mark.podman, pytest.mark.timeout(180)]

OWNER = Owner(run_id="node", attempt=0, host="h1")
TEST = """
const test = require('node:test');
const assert = require('node:assert');
const total = require('./total.js');
test('adds up', () => assert.strictEqual(total(1, 2), 3));
test('adds nothing', () => assert.strictEqual(total(0, 0), 0));
"""
REPOSITORY = {
    "package.json": json.dumps({"scripts": {"test": "node --test"}}),
    "total.js": "module.exports = (a, b) => a + b;\n",
    "total.test.js": TEST,
}


def planned(files: Mapping[str, str]) -> GatePlan:
    found = plan(None, list(files), lambda path: files[path].encode() if path in files else None)
    assert isinstance(found, GatePlan)
    return found


def ended(lab: PodmanLab, spec: SandboxSpec) -> tuple[SandboxStatus, bytes]:
    """The status and what was printed, once it has ended; nothing of it is left."""
    lab.containers.start(spec)
    pause = threading.Event()
    for _ in range(2400):
        status = lab.containers.status(spec.name)
        if status.state is not RunState.RUNNING:
            output = lab.containers.output(spec.name, 100_000)
            lab.containers.remove(spec.name)
            return status, output
        pause.wait(0.05)
    raise AssertionError(lab.said())


def laid_out(folder: Path, files: Mapping[str, str]) -> str:
    if folder.exists():
        shutil.rmtree(folder)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return str(folder)


def judged(lab: PodmanLab, found: GatePlan, files: Mapping[str, str], env: Path | None = None) -> Verdict:
    """What the plan's gates say of these files."""
    observations = []
    for take, gate in enumerate(found.gates):
        out = lab.directory(f"out-{take}")
        for old in out.iterdir():
            old.unlink()
        spec = gate_spec(
            owner=OWNER,
            what="node",
            take=take,
            image=lab.gate_image,
            tree=laid_out(lab.home / "tree", files),
            out_dir=str(out),
            env_dir=None if env is None else str(env),
            script=shell_script(found, gate),
        )
        status, output = ended(lab, spec)
        report = out / (gate.junit or "none")
        observations.append(
            Observation(
                gate=gate,
                exit_code=status.exit_code,
                timed_out=False,
                oom=status.oom,
                started=True,
                output=output,
                junit=report.read_bytes() if report.exists() else None,
            )
        )
        print(output.decode("utf-8", "replace"))  # noqa: T201 - pytest shows it with a failing test
    return judge(found, observations)


def test_a_node_repository_is_green_by_its_report_and_red_by_the_name_of_its_test(podman_host: PodmanLab) -> None:
    found = planned(REPOSITORY)

    assert judged(podman_host, found, REPOSITORY) == Passed(summary="test: 2 tests passed")
    red = judged(podman_host, found, {**REPOSITORY, "total.js": "module.exports = (a, b) => a - b;\n"})
    assert isinstance(red, Failed)
    assert red.summary == "gate test: 1 of 2 tests failed"
    assert "FAILED test::adds up" in red.report
    assert "adds nothing" not in red.report.split("The output ends:")[0]


def test_a_node_repository_whose_tests_are_gone_is_not_green(podman_host: PodmanLab) -> None:
    found = planned(REPOSITORY)

    gone = judged(podman_host, found, {name: text for name, text in REPOSITORY.items() if name != "total.test.js"})

    assert isinstance(gone, Failed)
    assert gone.summary == "gate test exited 0 but ran no test"


@pytest.mark.parametrize("runner", ["Makefile", "justfile"])
def test_a_task_is_judged_by_what_its_runner_prints_or_plainly_by_its_exit_status(
    podman_host: PodmanLab, runner: str
) -> None:
    counted = {**REPOSITORY, runner: "test:\n\tnode --test\n"}
    del counted["package.json"]
    silent = {runner: "check:\n\ttrue\n"}

    assert judged(podman_host, planned(counted), counted) == Passed(summary="test: 2 tests passed")
    red = judged(podman_host, planned(counted), {**counted, "total.js": "module.exports = () => 0;\n"})
    assert isinstance(red, Failed)
    assert red.summary == "gate test: 1 of 2 tests failed"
    assert "adds up" in red.report
    told = Passed(summary="test: green by exit status alone, no test was counted")
    assert judged(podman_host, planned(silent), silent) == told


USING = """
const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { execSync } = require('node:child_process');
const twice = require('twice');
const part = require('part');
test('uses the package', () => assert.strictEqual(twice(21), 42));
test('uses its program', () => assert.strictEqual(execSync('twice 4').toString().trim(), '8'));
test('uses a part of this repository as it is judged', () => assert.strictEqual(part, 'PART'));
test('may write a cache', () => fs.writeFileSync('node_modules/.cache-of-mine', 'x'));
test('may not change a package', () => assert.throws(() => fs.writeFileSync(require.resolve('twice'), '')));
"""


def using(registry: Registry, manager: str) -> dict[str, str]:
    """A repository with a part of its own and one package of the registry's; locked where npm installs it."""
    package = {
        "name": "whole",
        "version": "1.0.0",
        "private": True,
        "packageManager": manager,
        "workspaces": ["parts/*"],
        "scripts": {"test": "node --test"},
        "dependencies": {
            PACKAGE: "1.0.0",
            "part": "workspace:*" if manager.startswith("pnpm") else "1.0.0",
        },
    }
    part = {"name": "part", "version": "1.0.0"}
    files = {
        "package.json": json.dumps(package),
        "parts/part/package.json": json.dumps(part),
        "parts/part/index.js": "module.exports = 'BASE';\n",
        "using.test.js": USING,
    }
    if manager.startswith("pnpm"):
        files["pnpm-workspace.yaml"] = "packages:\n  - 'parts/*'\n"
    if manager.startswith("npm"):
        files["package-lock.json"] = json.dumps(
            {
                "name": "whole",
                "version": "1.0.0",
                "lockfileVersion": 3,
                "requires": True,
                "packages": {
                    "": {key: package[key] for key in ("name", "version", "workspaces", "dependencies")},
                    "node_modules/part": {"resolved": "parts/part", "link": True},
                    f"node_modules/{PACKAGE}": {
                        "version": "1.0.0",
                        "resolved": registry.archive_url,
                        "integrity": registry.integrity,
                        "bin": {"twice": "cli.js"},
                    },
                    "parts/part": part,
                },
            }
        )
    return files


@pytest.mark.parametrize("manager", ["npm@11.0.0", "pnpm@10.0.0", "yarn@1.22.22", "yarn@4.0.0"])
def test_packages_come_through_the_proxy_and_are_only_read_by_the_gate(podman_host: PodmanLab, manager: str) -> None:
    home = podman_host.home
    with npm_registry(podman_host.directory("ca")) as registry:
        files = using(registry, manager)
        found = planned(files)
        assert found.setup is not None
        loop = GatewayLoop()
        loop.start()
        allowed = Egress(allowed=frozenset({f"localhost:{registry.port}"}), private_hosts=frozenset({"localhost"}))
        proxy = EgressProxy(loop, allowed)
        try:
            proxy.open("node", podman_host.directory("sockets"))
            spec = setup_spec(
                owner=OWNER,
                key=manager,
                image=podman_host.gate_image,
                relay_image=podman_host.relay_image,
                tree=laid_out(home / "base", files),
                env_dir=str(podman_host.directory("env")),
                socket_dir=str(home / "sockets"),
                script=setup_script(found, found.setup),
                ca_dir=str(registry.certificate.parent),
                ca_file=registry.certificate.name,
                environment=(("npm_config_registry", registry.url),),
            )
            status, output = ended(podman_host, spec)
            assert status.exit_code == 0, (output.decode("utf-8", "replace"), proxy.refusals("node"))
        finally:
            proxy.close()
            loop.close()
    assert sorted(path.name for path in (home / "env").iterdir()) == ["tree"]

    head = {**files, "parts/part/index.js": "module.exports = 'PART';\n", "node_modules/twice/index.js": "0"}

    assert judged(podman_host, found, head, home / "env") == Passed(summary="test: 5 tests passed")
