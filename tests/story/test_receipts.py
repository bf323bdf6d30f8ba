"""Every deed of a run has its receipt, once, whatever crashes; a pull request tells what a rewrite cannot meet."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mcp_ashigaru.cli import app
from mcp_ashigaru.stores import open_receipts
from runner.adapters.sql_engine import open_engine
from runner.adapters.sql_schema import receipts
from tests.story.house import Foreman, House
from tests.story.scenes import RIGHT, WRONG, Facts, house_of, passes_when, writes

PUBLISHED = ["push", "set_check", "open_pull"]


def kinds(house: House, run_id: str, stage: str = "done") -> list[str]:
    with open_receipts(house.settings(8020)) as chain:
        said = [json.loads(one.body) for one in chain.links(run_id=run_id)]
    return [one["kind"] for one in said if one["stage"] == stage]


def command(state: Path, *arguments: str) -> Result:
    told = {"ASHIGARU_STATE_DIR": str(state), "ASHIGARU_HOST_ID": "here"}
    return CliRunner().invoke(app, ["receipts", *arguments], env=told)


def body_of(foreman: Foreman, number: int) -> str:
    pull = foreman.daemon.forge.pull("widgets", number)
    assert pull is not None
    return pull.body


def test_a_climb_to_a_merge_leaves_a_receipt_of_each_deed_and_verdict(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(WRONG), 2: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert foreman.call("promote", repo="widgets", pr=told["pull"]["number"], head_sha=told["head_sha"])["promoted"]
        body = body_of(foreman, told["pull"]["number"])
    done = kinds(house, run_id)
    assert sorted(done[:5]) == ["model", "model", "verdict", "verdict", "verdict"]
    assert done[5:8] == PUBLISHED
    assert "merge" in done[8:]
    assert kinds(house, run_id, "unknown") == []
    assert command(state, "verify").exit_code == 0
    head = re.search(r"Receipts: 5 of this run, chained on host `here` up to `(\d+:[0-9a-f]{64})`", body)
    assert head is not None, body
    assert command(state, "verify", "--head", head[1]).exit_code == 0
    number, hashed = head[1].split(":")
    forged = f"{number}:{hashed[::-1]}"
    refused = command(state, "verify", "--head", forged)
    assert refused.exit_code == 1
    assert refused.stdout.startswith(f"broken at entry {number}: ")


def test_a_verdicts_receipt_says_what_was_judged_and_in_which_image(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
    shown = json.loads(command(state, "show", run_id, "--json").stdout)
    verdict = next(one["detail"] for one in shown if one["kind"] == "verdict" and one["detail"]["what"] == "head")
    assert (verdict["commit"], verdict["verdict"]) == (told["head_sha"], "passed")
    assert all(verdict[name] for name in ("tree", "base", "key", "image"))
    assert "verdict" in command(state, "show", run_id).stdout


@pytest.mark.parametrize("crash_at", range(1, 8))
def test_a_step_that_is_done_again_after_a_crash_has_no_second_receipt(
    state: Path, source: Path, crash_at: int
) -> None:
    facts = Facts(crash_at=crash_at)
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert facts.crashed.wait(20)
    with house.daemon() as foreman:
        assert foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    done = kinds(house, run_id)
    assert sorted(done[:3]) == ["model", "verdict", "verdict"]
    assert done[3:] == PUBLISHED
    assert command(state, "verify").exit_code == 0


def test_a_cut_and_a_change_are_told_by_verify_and_an_export_can_be_examined_elsewhere(
    state: Path, source: Path, tmp_path: Path
) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        foreman.at_rest(foreman.work())
    file = tmp_path / "receipts.jsonl"
    assert command(state, "export", str(file)).exit_code == 0
    assert command(state, "export", str(file)).exit_code != 0, "an export overwrites nothing"
    assert command(state, "verify", "--file", str(file)).exit_code == 0
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([lines[0], lines[1].replace("done", "dine"), *lines[2:]]), encoding="utf-8")
    answer = command(state, "verify", "--json", "--file", str(file))
    assert (answer.exit_code, json.loads(answer.stdout)["entry"]) == (1, 2)
    engine = open_engine(f"sqlite:///{state}/ashigaru.db")
    with engine.begin() as db:
        db.execute(receipts.delete().where(receipts.c.number == len(lines)))
    engine.dispose()
    cut = command(state, "verify")
    assert cut.exit_code == 1
    assert cut.stdout.startswith(f"broken at entry {len(lines)}: "), "the daemon's end anchored the whole chain"
