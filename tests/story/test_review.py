"""After the pull request: changes are asked for, and exactly what was judged is merged, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_ashigaru.client import CallRefused
from runner.model import CheckState, Merged, ReviewedHead
from tests.fakes.behaviours import AgentAtWork, Ended, Inside, judges, works
from tests.story.house import Foreman, git, repository
from tests.story.scenes import RIGHT, WRONG, bare, branches, held, house_of, passes_when, writes

BETTER = "total = 1  # said plainly\n"


def push(state: Path, where: Path, branch: str, name: str, text: str) -> str:
    """What a person does: clone, change one file, push; the new commit."""
    clone = where / f"clone-{branch.replace('/', '-')}-{name}"
    git(where, "clone", "--quiet", "--branch", branch, str(bare(state)), str(clone))
    (clone / name).write_text(text, encoding="utf-8")
    git(clone, "add", "--all", ".")
    git(clone, "commit", "--quiet", "-m", "by hand")
    git(clone, "push", "--quiet", "origin", branch)
    return git(clone, "rev-parse", "HEAD")


def refusal(foreman: Foreman, **changes: object) -> str:
    answer = foreman.call("promote", **({"repo": "widgets", "pr": 1} | changes))
    assert not answer["promoted"], answer
    assert answer["sha"] is None
    return str(answer["detail"])


def test_requested_changes_go_on_from_the_head_at_the_same_tier_on_the_same_pull_request(
    state: Path, source: Path
) -> None:
    seen: list[tuple[str, str]] = []

    def again(agent: AgentAtWork) -> None:
        seen.append((agent.prompt, (agent.tree / "total.py").read_text(encoding="utf-8")))
        (agent.tree / "total.py").write_text(BETTER, encoding="utf-8")
        agent.result()

    house = house_of(state, {1: writes(WRONG), 2: writes(RIGHT), 3: works(again)}, passes_when("total = 1"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        first = foreman.at_rest(run_id)
        foreman.call("request_changes", run_id=run_id, notes="Say it plainly.")
        second = foreman.until(run_id, lambda told: told["head_sha"] != first["head_sha"])
        second = foreman.at_rest(run_id)
        assert second["phase"] == "awaiting_review"
        assert [tried["tier"] for tried in second["tiers_tried"]] == ["small", "large", "large"]
        assert second["pull"]["number"] == first["pull"]["number"] == 1
        assert list(branches(state).values()) == [second["head_sha"]]
        assert git(bare(state), "rev-parse", f"{second['head_sha']}^") == first["head_sha"]
        prompt, start = seen[0]
        assert "Say it plainly." in prompt
        assert start == RIGHT
        assert "head moved" in refusal(foreman, head_sha=first["head_sha"])
        assert foreman.call("promote", repo="widgets", pr=1, head_sha=second["head_sha"])["promoted"]
        assert git(bare(state), "show", "main:total.py") + "\n" == BETTER


def test_a_round_that_comes_to_nothing_leaves_the_judged_head_to_be_merged(state: Path, source: Path) -> None:
    agents = {1: writes(RIGHT)} | {n: writes(f"total = {n}0\n") for n in range(2, 6)}
    house = house_of(state, agents, passes_when("total = 1\n"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        first = foreman.at_rest(run_id)
        foreman.call("request_changes", run_id=run_id, notes="Make it more.")
        foreman.until(run_id, lambda told: len(told["tiers_tried"]) == 4)
        after = foreman.at_rest(run_id)
        assert after["head_sha"] == first["head_sha"]
        kept = branches(state)
        assert kept.pop(next(name for name in kept if name.endswith("-unfinished"))) != first["head_sha"]
        assert list(kept.values()) == [first["head_sha"]]
        assert "-unfinished" in after["reason"]
        assert foreman.call("promote", repo="widgets", pr=1, head_sha=first["head_sha"])["promoted"], after


def test_a_round_that_changes_nothing_more_climbs(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes(RIGHT), 3: writes(BETTER)}, passes_when("total = 1"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        foreman.at_rest(run_id)
        foreman.call("request_changes", run_id=run_id, notes="Say it plainly.")
        told = foreman.until(run_id, lambda told: len(told["tiers_tried"]) == 3 and told["phase"] == "awaiting_review")
        assert [tried["tier"] for tried in told["tiers_tried"]] == ["small", "small", "large"]


def test_changes_cannot_be_asked_of_a_run_at_work_or_merged(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        with pytest.raises(CallRefused, match="still working"):
            foreman.call("request_changes", run_id=run_id, notes="More.")
        agent.release()
        foreman.at_rest(run_id)
        foreman.call("promote", repo="widgets", pr=1)
        with pytest.raises(CallRefused, match="merged"):
            foreman.call("request_changes", run_id=run_id, notes="More.")


def test_only_the_head_that_was_judged_is_merged(state: Path, source: Path, tmp_path: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        forge = foreman.daemon.forge
        forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
        head = told["head_sha"]
        assert "No run of ours" in refusal(foreman, pr=7)
        assert "head moved" in refusal(foreman, head_sha="0" * 40)
        forge.operator.report("widgets", head, "ci/lint", CheckState.PENDING)
        assert "CI has not finished: 1 of 1 checks still run: ci/lint" in refusal(foreman)
        forge.operator.report("widgets", head, "ci/lint", CheckState.STALLED)
        assert "CI has no verdict" in refusal(foreman)
        assert [check["name"] for check in foreman.call("status", run_id=told["run_id"])["checks"]] == [
            "ashigaru/gate",
            "ci/lint",
        ]
        forge.operator.report("widgets", head, "ci/lint", CheckState.PASSED)
        pushed = push(state, tmp_path, next(iter(branches(state))), "total.py", "total = 1 or evil()\n")
        assert "never judged" in refusal(foreman)
        assert "never judged" in refusal(foreman, head_sha=pushed)
        assert git(bare(state), "rev-list", "--count", "main") == "1"


def test_promoting_twice_gives_the_same_merge(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        foreman.at_rest(run_id)
        first = foreman.call("promote", repo="widgets", pr=1)
        assert foreman.call("promote", repo="widgets", pr=1) == first
        assert git(bare(state), "rev-parse", "main") == first["sha"]
        assert foreman.work() != run_id


def test_when_the_base_moved_the_merged_tree_is_judged_and_exactly_that_is_merged(
    state: Path, source: Path, tmp_path: Path
) -> None:
    trees: list[dict[str, str]] = []

    def check(tree: Path, out: Path) -> tuple[int, bytes]:  # noqa: ARG001 - a gate's signature
        trees.append({path.name: path.read_text(encoding="utf-8") for path in tree.iterdir() if path.is_file()})
        return 0, b"fine\n"

    house = house_of(state, {1: writes(RIGHT)}, judges(check))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        moved = push(state, tmp_path, "main", "other.py", "x = 1\n")
        assert "judging the merged tree now" in refusal(foreman, head_sha=told["head_sha"])
        again = foreman.until(run_id, lambda seen: [one["what"] for one in seen["verdicts"]][-1] == "merged")
        again = foreman.at_rest(run_id)
        assert again["phase"] == "awaiting_review"
        assert again["head_sha"] == told["head_sha"]
        assert trees[-1]["other.py"] == "x = 1\n"
        assert trees[-1]["total.py"] == RIGHT
        answer = foreman.call("promote", repo="widgets", pr=1, head_sha=told["head_sha"])
        assert answer["promoted"], answer
        assert git(bare(state), "rev-parse", "main^") == moved
        names = git(bare(state), "ls-tree", "--name-only", "main").splitlines()
        assert sorted(names) == sorted(trees[-1])
        assert git(bare(state), "show", "main:total.py") + "\n" == RIGHT


def test_a_merged_tree_that_is_red_is_not_merged(state: Path, source: Path, tmp_path: Path) -> None:
    def check(tree: Path, out: Path) -> tuple[int, bytes]:  # noqa: ARG001 - a gate's signature
        both = (tree / "other.py").exists() and (tree / "total.py").read_text(encoding="utf-8") == RIGHT
        return (1, b"they do not go together\n") if both else (0, b"")

    house = house_of(state, {1: writes(RIGHT)}, judges(check))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        foreman.at_rest(run_id)
        moved = push(state, tmp_path, "main", "other.py", "x = 1\n")
        refusal(foreman)
        foreman.until(run_id, lambda seen: [one["what"] for one in seen["verdicts"]][-1] == "merged")
        foreman.at_rest(run_id)
        said = refusal(foreman)
        assert "gates refuse the merged tree" in said
        assert "gate test exited 1" in said
        assert git(bare(state), "rev-parse", "main") == moved


def test_a_conflict_with_the_base_is_told_and_not_merged(state: Path, source: Path, tmp_path: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when("total"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        foreman.at_rest(foreman.work())
        moved = push(state, tmp_path, "main", "total.py", "total = 7\n")
        assert "conflicts with main" in refusal(foreman)
        assert git(bare(state), "rev-parse", "main") == moved


def test_a_merged_tree_that_could_not_be_judged_is_judged_again_when_asked_again(
    state: Path, source: Path, tmp_path: Path
) -> None:
    broken = [True]

    def gate(inside: Inside) -> Ended:
        return Ended(code=137, oom=True) if broken[0] and (inside.tree / "other.py").exists() else Ended(code=0)

    house = house_of(state, {1: writes(RIGHT)}, gate)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        foreman.at_rest(run_id)
        push(state, tmp_path, "main", "other.py", "x = 1\n")
        refusal(foreman)
        foreman.until(run_id, lambda seen: [one["what"] for one in seen["verdicts"]].count("merged") == 3)
        foreman.at_rest(run_id)
        broken[0] = False
        assert "judging the merged tree now" in refusal(foreman)
        foreman.until(run_id, lambda seen: seen["verdicts"][-1]["outcome"] == "passed")
        foreman.at_rest(run_id)
        assert foreman.call("promote", repo="widgets", pr=1)["promoted"]


def test_a_crash_between_the_merge_and_its_record_is_made_good_at_the_next_start(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        foreman.at_rest(run_id)
        forge = foreman.daemon.forge
        pull = forge.pull("widgets", 1)
        assert pull is not None
        tree = git(bare(state), "rev-parse", f"{pull.head_sha}^{{tree}}")
        judged = ReviewedHead(repo="widgets", pull=1, head_sha=pull.head_sha, base_sha=pull.base_sha, tree=tree)
        assert isinstance(forge.merge(judged, title="t", body="b"), Merged)
    with house.daemon() as foreman:
        foreman.until(run_id, lambda told: told["phase"] == "merged")
        sha = git(bare(state), "rev-parse", "main")
        assert foreman.call("promote", repo="widgets", pr=1)["sha"] == sha


def test_the_gates_of_a_moved_base_judge_the_merged_tree(state: Path, tmp_path: Path) -> None:
    gate = '[[gate]]\nname = "test"\nrun = "{}"\n'
    files = {"total.py": "total = 0\n", ".ashigaru.toml": gate.format("old")}
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", files)), "widgets")
        run_id = foreman.work()
        foreman.at_rest(run_id)
        push(state, tmp_path, "main", ".ashigaru.toml", gate.format("new"))
        refusal(foreman)
        foreman.until(run_id, lambda seen: [one["what"] for one in seen["verdicts"]][-1] == "merged")
    assert "new" in house.containers.started[-1].command[-1]
