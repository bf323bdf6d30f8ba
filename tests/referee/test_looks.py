"""Every Node cheat is wrong, as the look that no gate sees tells in the gate's own image; Go's and Rust's image is told."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from gates.observed import Counts
from gates.plan import GatePlan, plan
from gates.test_runners import TestRunner
from gates.verdict import Inconclusive, Passed
from mcp_ashigaru.judging_here import Judged, TreeJudged, judge_here
from mcp_ashigaru.settings import load_settings
from tests.git_rig import make_repository
from tests.referee.case import RIGHT, Change, Files, Language, Repository
from tests.referee.images import NEEDING, TOOLCHAINS, have_toolchains
from tests.referee.registry import CHEATS, REPOSITORIES
from tests.referee.running import Word, ended_of
from tests.sandbox.podman_lab import PodmanLab

STATE = Path("/tmp/unused")  # noqa: S108 - short, and never made: the judge here makes a directory of its own
# A directory for each tree; those of wrong ones begin so.
LOOKS = """for one in */; do
  said=$(cd "$one" && eval "$(cat look)" 2>/dev/null | tail -n 1)
  case $one in wrong*) [ "$said" != {right} ] ;; *) [ "$said" = {right} ] ;; esac || {{
    echo "$one is not what it is called"
    exit 1
  }}
done"""


def looked_at(repository: Repository, change: Change, name: str) -> dict[str, str]:
    tree: Files = {path: text for path, text in {**repository.files, **change}.items() if text is not None}
    command = " ".join(shlex.quote(part.format(python=sys.executable)) for part in repository.hidden.command)
    return {f"{name}/{path}": text for path, text in {**tree, **repository.hidden.files, "look": command}.items()}


@pytest.mark.podman
@pytest.mark.timeout(120)
def test_every_node_cheat_is_wrong_and_every_right_change_is_right(podman_host: PodmanLab) -> None:
    files = {".ashigaru.toml": f"[[gate]]\nname = 'looks'\nrun = '''\n{LOOKS.format(right=shlex.quote(RIGHT))}\n'''\n"}
    node = {name: one for name, one in REPOSITORIES.items() if one.language is Language.NODE}
    for name, one in node.items():
        files |= looked_at(one, one.right, f"right-{name}") | looked_at(one, {}, f"wrong-{name}")
    for number, cheat in enumerate(one for one in CHEATS if one.repo in node):
        files |= looked_at(node[cheat.repo], cheat.change, f"wrong-{number}")
    repo = podman_host.home / "looks"
    make_repository(repo, files)
    images = {"gate_image": podman_host.gate_image, "relay_image": podman_host.relay_image}
    with judge_here(load_settings(state_dir=STATE, podman_url=podman_host.url, **images)) as judge:
        verdict = judge(repo, "main", "main").verdict
    assert isinstance(verdict, Passed), verdict


@pytest.mark.parametrize("repository", [one for one in REPOSITORIES.values() if one.language in NEEDING])
def test_go_and_rust_are_judged_as_they_would_be_recognised_but_in_their_image(repository: Repository) -> None:
    text = repository.files[".ashigaru.toml"].encode()
    told = plan(text, tuple(repository.files), lambda path: repository.files[path].encode())
    assert isinstance(told, GatePlan)
    assert told.image == TOOLCHAINS
    assert told.gates[0].runner is {Language.GO: TestRunner.GO, Language.RUST: TestRunner.CARGO}[repository.language]
    assert told.gates[0].junit is not None


def test_a_machine_that_cannot_have_their_image_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "podman" in (have_toolchains(f"unix://{tmp_path}/none", lambda _line: None) or "")


def test_a_base_that_should_be_green_and_is_not_shows_nothing_of_a_cheat(tmp_path: Path) -> None:
    reason = Inconclusive(reason="no such command")
    base = TreeJudged(commit="c", tree="t", verdict=reason, counts=Counts(), image=None, takes=3, seconds=1.0)
    told = Judged(repository=tmp_path, gates=(), base=base, head=None)
    ended = ended_of(lambda *_: told, CHEATS[0], tmp_path, "change", green=True)
    assert (ended.word, ended.held) == (Word.BROKEN, False)
    assert ended_of(lambda *_: told, CHEATS[0], tmp_path, "change", green=False).word is Word.CAUGHT
