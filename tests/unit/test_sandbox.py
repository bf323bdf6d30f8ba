"""The recipes, and how the agent is launched."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.services import Service
from runner.adapters.podman_payloads import BOUNDS, askable, container_arguments, pod_arguments
from runner.launch import AgentExit, ExitReason, claude_argv, claude_environment, launch_file, read_exit
from runner.model import Tier
from runner.sandbox import (
    MAX_NAME,
    Owner,
    agent_name,
    agent_spec,
    gate_name,
    gate_spec,
    relay_spec,
    service_spec,
    setup_name,
    setup_spec,
)
from runner.sandboxes import Role, SandboxSpec

OWNER = Owner(run_id="r7", attempt=2, host="h1")
TIER = Tier(name="opus", model="opus", effort="high", max_turns=40, max_micro_usd=9, wall_s=60, idle_s=60)
AGENT = agent_spec(
    owner=OWNER, image="a", relay_image="r", tree="/t", in_dir="/i", out_dir="/o", socket_dir="/s", hold_s=99
)
GATE = gate_spec(owner=OWNER, what="test", take=1, image="g", tree="/t", out_dir="/o", script="make test")
SETUP = setup_spec(
    owner=OWNER,
    key="k",
    image="g",
    relay_image="r",
    tree="/t",
    env_dir="/e",
    socket_dir="/s",
    script="pip install x",
    ca_dir="/c",
)


def binds(spec: SandboxSpec) -> dict[str, tuple[str, bool]]:
    return {mount.target: (mount.source, mount.read_only) for mount in spec.mounts}


def test_an_agent_is_shown_its_tree_its_orders_and_its_report_and_nothing_else() -> None:
    assert binds(AGENT) == {
        "/workspace": ("/t", False),
        "/ashigaru/in": ("/i", True),
        "/ashigaru/out": ("/o", False),
    }
    assert AGENT.relay is not None
    assert (AGENT.relay.ports, AGENT.relay.socket_dir, AGENT.relay.hold_s) == (((8080, "model.sock"),), "/s", 99)


def test_a_gate_has_no_relay_and_its_environment_is_read_only() -> None:
    assert GATE.relay is None
    assert binds(GATE) == {"/workspace": ("/t", False), "/ashigaru/out": ("/o", False)}
    prepared = gate_spec(owner=OWNER, what="t", take=1, image="g", tree="/t", out_dir="/o", script="x", env_dir="/e")
    assert binds(prepared)["/ashigaru/env"] == ("/e", True)


def served(**told: Any) -> SandboxSpec:
    """A service's sandbox, of 64 MiB."""
    plain: dict[str, Any] = {"run": None, "environment": (), "writable": (), "ready": None, "ready_timeout_s": 1}
    wanted = Service(**{"name": "db", "image": "i", "memory": 64 * 1024 * 1024} | plain | told)
    return service_spec(owner=OWNER, what="test", take=1, image="s", service=wanted)


def test_a_service_has_nothing_of_the_hosts_and_no_more_scratch_memory_than_it_may_use() -> None:
    spec = served(writable=("/var/lib/db", "/run/db", "/var/lib/db", "/tmp"))  # noqa: S108 - inside the sandbox
    assert (spec.mounts, spec.relay, spec.services, spec.role) == ((), None, (), Role.SERVICE)
    assert [one.target for one in spec.tmpfs] == ["/tmp", "/var/lib/db", "/run/db"]  # noqa: S108 - inside the sandbox
    assert sum(one.size for one in spec.tmpfs) <= spec.memory


def test_a_service_is_found_by_its_images_own_path_unless_the_gate_file_says_another() -> None:
    assert "PATH" not in dict(served().environment)
    assert dict(served(environment=(("PATH", "/opt/db/bin"),)).environment)["PATH"] == "/opt/db/bin"


def test_a_setup_reaches_the_egress_proxy_and_trusts_the_given_certificates() -> None:
    environment = dict(SETUP.environment)
    assert environment["HTTPS_PROXY"] == environment["http_proxy"] == "http://127.0.0.1:3128"
    assert environment["PIP_CERT"] == "/ashigaru/ca/ca-certificates.crt"
    assert binds(SETUP) == {
        "/workspace": ("/t", False),
        "/ashigaru/env": ("/e", False),
        "/ashigaru/ca": ("/c", True),
    }
    assert SETUP.relay is not None
    assert SETUP.relay.ports == ((3128, "egress.sock"),)


@pytest.mark.parametrize("spec", [AGENT, GATE, SETUP])
def test_every_sandbox_is_labelled_with_run_attempt_role_and_host(spec: SandboxSpec) -> None:
    assert dict(spec.labels) == {
        "ashigaru.run": "r7",
        "ashigaru.attempt": "2",
        "ashigaru.role": spec.role.value,
        "ashigaru.host": "h1",
    }


@pytest.mark.parametrize("spec", [AGENT, GATE, SETUP])
def test_every_sandbox_is_asked_for_hardened(spec: SandboxSpec) -> None:
    asked = container_arguments(spec)
    assert asked["cap_drop"] == ["all"]
    assert (asked["no_new_privileges"], asked["read_only"], asked["use_config_proxy"]) == (True, True, False)
    assert asked["pids_limit"] == spec.pids
    assert asked["mem_limit"] == asked["memswap_limit"] == spec.memory
    assert asked["log_config"]["Config"]["size"] > 0
    if spec.relay is None:
        assert (asked["network_mode"], asked["userns_mode"]) == ("none", "keep-id")
    else:
        assert "network_mode" not in asked
        pod = pod_arguments(spec)
        assert asked["pod"] == pod["name"]
        assert pod["netns"] == {"nsmode": "none"}
        assert pod["security_opt"] == ["no-new-privileges"]
        assert not {"mounts", "volumes", "devices"} & set(pod), "members of a pod inherit what it is shown"


@pytest.mark.parametrize("spec", [AGENT, SETUP])
def test_a_relay_is_sealed_like_what_it_serves_and_is_shown_its_sockets_alone(spec: SandboxSpec) -> None:
    assert spec.relay is not None
    relay = relay_spec(spec, spec.relay)
    assert [(mount.source, mount.target, mount.read_only) for mount in relay.mounts] == [
        (spec.relay.socket_dir, "/ashigaru/sockets", True)
    ]
    assert (relay.tmpfs, relay.file, relay.relay, relay.services) == ((), 65_536, None, ())
    assert dict(relay.labels) == dict(spec.labels) | {"ashigaru.role": "relay"}
    asked = container_arguments(relay, pod_of=spec.name)
    assert asked["pod"] == pod_arguments(spec)["name"]
    assert (asked["cap_drop"], asked["no_new_privileges"], asked["read_only"]) == (["all"], True, True)
    assert not any(mount.target == "/ashigaru/sockets" for mount in spec.mounts)


def test_rlimits_hold_where_cgroups_do_not_and_never_ask_for_more_than_the_account_has() -> None:
    def held(asked: dict[str, Any]) -> dict[str, int]:
        assert all(limit["Soft"] == limit["Hard"] for limit in asked["ulimits"])
        return {limit["Name"]: limit["Hard"] for limit in asked["ulimits"]}

    assert held(container_arguments(GATE)) == {"core": 0, "fsize": GATE.file, "nofile": 16_384, "nproc": GATE.pids}
    assert held(container_arguments(GATE, most={"nofile": 1024, "nproc": 64}))["nofile"] == 1024
    assert held(container_arguments(GATE, most={"nofile": 1024, "nproc": 10**6}))["nproc"] == GATE.pids


@pytest.mark.parametrize(
    ("version", "controllers", "asked"),
    [
        ("v2", ["cpu", "io", "memory", "pids"], {"cpu", "memory", "pids"}),
        ("v2", ["memory", "pids"], {"memory", "pids"}),
        ("v2", [], set()),
        ("v2", None, set()),
        ("v1", [], {"memory", "pids"}),
        ("v1", ["cpu"], {"cpu", "memory", "pids"}),
    ],
)
def test_a_bound_is_asked_for_only_where_asking_does_not_keep_podman_from_starting(
    version: str, controllers: list[str] | None, asked: set[str]
) -> None:
    assert askable({"host": {"cgroupVersion": version, "cgroupControllers": controllers}}) == asked
    payload = container_arguments(GATE, bounds=frozenset(asked))
    assert ("cpu_quota" in payload, "mem_limit" in payload, "pids_limit" in payload) == (
        "cpu" in asked,
        "memory" in asked,
        "pids" in asked,
    )


def test_what_is_asked_for_is_what_the_recipe_says() -> None:
    asked = container_arguments(GATE, bounds=BOUNDS)
    assert asked["cpu_quota"] / asked["cpu_period"] == GATE.cpus
    assert (asked["mem_limit"], asked["memswap_limit"], asked["pids_limit"]) == (GATE.memory, GATE.memory, GATE.pids)


def test_there_is_memory_to_share_between_processes_where_there_is_scratch_memory() -> None:
    spec = SETUP
    assert spec.relay is not None
    for of, shared in ((spec, True), (relay_spec(spec, spec.relay), False)):
        targets = [one["target"] for one in container_arguments(of)["mounts"]]
        assert ("/dev/shm" in targets) is shared  # noqa: S108 - inside the sandbox


def test_a_sandbox_without_a_relay_has_no_pod() -> None:
    with pytest.raises(ValueError, match="no relay"):
        pod_arguments(GATE)


TEXT = st.text(max_size=80)


@given(TEXT, TEXT, st.integers(0, 10**6))
def test_names_are_short_and_plain(run_id: str, what: str, number: int) -> None:
    for name in (agent_name(run_id, number), gate_name(run_id, what, number), setup_name(run_id, what)):
        assert len(f"{name}-relay") <= 63
        assert len(name) <= MAX_NAME
        assert re.fullmatch(r"ash-(agent|gate|setup)-[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)


PART = st.one_of(TEXT, st.text(alphabet="ab1-", min_size=1, max_size=4))


@given(st.tuples(PART, PART, st.integers(0, 20)), st.tuples(PART, PART, st.integers(0, 20)))
def test_different_sandboxes_have_different_names(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    assert (gate_name(*one) == gate_name(*other)) == (one == other)


def test_a_name_is_the_same_after_a_restart() -> None:
    assert agent_name("r7", 2) == "ash-agent-r7-2"
    assert gate_name("r7", "9f3c", 1) == "ash-gate-r7-9f3c-1"
    assert gate_name("r7", "a very long name of a gate, longer than fits", 1) == gate_name(
        "r7", "a very long name of a gate, longer than fits", 1
    )


def test_the_agents_command_restricts_its_tools_and_widens_nothing() -> None:
    argv = claude_argv(TIER, session_id="s", max_micro_usd=1_250_000)
    options = dict(pairwise(argv))
    assert options["--tools"] == "Read,Edit,Write,Glob,Grep"
    assert options["--allowedTools"] == "mcp__ash"
    assert {"--restricted", "--strict-mcp-config", "--disable-slash-commands"} <= set(argv)
    assert options["--setting-sources"] == ""
    assert (options["--model"], options["--effort"], options["--max-turns"]) == ("opus", "high", "40")
    assert options["--max-budget-usd"] == "1.250000"
    assert list(json.loads(options["--mcp-config"])["mcpServers"]) == ["ash"]
    assert "--append-system-prompt-file" not in argv
    guided = claude_argv(TIER, session_id="s", max_micro_usd=0, system_prompt_file="/ashigaru/in/system.md")
    options = dict(pairwise(guided))
    assert options["--append-system-prompt-file"] == "/ashigaru/in/system.md"
    assert options["--max-budget-usd"] == "0.000001"


def test_the_agents_environment_holds_one_placeholder() -> None:
    by_key, by_token = claude_environment("api_key", "p"), claude_environment("oauth", "p", 9)
    assert by_key["ANTHROPIC_API_KEY"] == by_token["CLAUDE_CODE_OAUTH_TOKEN"] == "p"
    assert "CLAUDE_CODE_OAUTH_TOKEN" not in by_key
    assert "ANTHROPIC_API_KEY" not in by_token
    assert by_token["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9"
    assert by_key["CLAUDE_CODE_MAX_RETRIES"] == "5"


def test_no_credential_is_in_what_podman_can_be_asked_about() -> None:
    launch = launch_file(("/x",), claude_environment("api_key", "the-placeholder"))
    assert b"the-placeholder" in launch
    assert "the-placeholder" not in json.dumps(container_arguments(AGENT))


def test_an_exit_record_is_read_and_anything_else_is_none() -> None:
    assert read_exit(b'{"code": null, "signal": 9, "reason": "grace"}') == AgentExit(
        code=None, signal=9, reason=ExitReason.GRACE
    )
    for data in (b"", b"{}", b"[]", b'{"code": 0, "signal": null, "reason": "happy"}', b"\xff"):
        assert read_exit(data) is None
