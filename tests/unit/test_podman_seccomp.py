"""Which system calls a sandbox may make: podman's own profile, less what containers within containers need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.adapters import podman_seccomp
from runner.adapters.podman_payloads import container_arguments
from runner.adapters.podman_seccomp import FORBIDDEN, tightened, write_profile
from runner.sandbox import Owner, gate_spec

ALLOWED = {"action": "SCMP_ACT_ALLOW", "args": [], "includes": {}, "excludes": {}}
PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "syscalls": [
        ALLOWED | {"names": ["read", "clone", "clone3", "unshare", "mount", "keyctl"]},
        ALLOWED | {"names": ["setns", "bpf"], "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    ],
}


def rules_for(name: str, profile: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for rule in profile["syscalls"] if name in rule["names"]]


def test_what_makes_namespaces_and_mounts_is_refused_whatever_podman_allows() -> None:
    profile = tightened(PROFILE)
    for name in FORBIDDEN:
        (rule,) = rules_for(name, profile)
        assert (rule["action"], rule["errnoRet"]) == ("SCMP_ACT_ERRNO", 1)


def test_a_process_may_be_made_and_a_namespace_with_it_may_not() -> None:
    (clone,) = rules_for("clone", tightened(PROFILE))
    (flags,) = clone["args"]
    assert (clone["action"], flags["op"], flags["valueTwo"]) == ("SCMP_ACT_ALLOW", "SCMP_CMP_MASKED_EQ", 0)
    for namespace in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert flags["value"] & namespace
    (clone3,) = rules_for("clone3", tightened(PROFILE))
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_everything_else_stays_as_podman_has_it() -> None:
    profile = tightened(PROFILE)
    assert rules_for("read", profile) == [ALLOWED | {"names": ["read"]}]
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 38)


@pytest.mark.parametrize("profile", [{}, {"syscalls": 1}, PROFILE | {"defaultAction": "SCMP_ACT_ALLOW"}])
def test_a_profile_of_another_kind_is_not_guessed_at(profile: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no list of what is allowed"):
        tightened(profile)


def test_the_first_profile_that_can_be_read_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = tmp_path / "broken.json", tmp_path / "whole.json"
    broken.write_text("{", encoding="utf-8")
    whole.write_text(json.dumps(PROFILE), encoding="utf-8")
    monkeypatch.setattr(podman_seccomp, "PROFILES", (tmp_path / "gone.json", broken, whole))
    path = write_profile(tmp_path)
    assert path == tmp_path / "seccomp.json"
    assert json.loads(path.read_text(encoding="utf-8")) == tightened(PROFILE)
    before = path.stat().st_ino
    write_profile(tmp_path)
    assert path.stat().st_ino == before


def test_without_any_profile_podmans_own_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman_seccomp, "PROFILES", (tmp_path / "gone.json",))
    assert write_profile(tmp_path) is None
    spec = gate_spec(
        owner=Owner(run_id="r", attempt=0, host="h"), what="g", take=1, image="i", tree="/t", out_dir="/o", script="x"
    )
    assert "seccomp_profile_path" not in container_arguments(spec)
    assert container_arguments(spec, seccomp="/p/seccomp.json")["seccomp_profile_path"] == "/p/seccomp.json"
