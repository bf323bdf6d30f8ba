"""What `runner.rounds.Rounds` promises, asked of the real engine across real processes that are really killed."""

from __future__ import annotations

from tests.contract.rounds_rig import (
    ALL_STEPS,
    FROM_THE_AGENT,
    IN_THE_AGENT,
    Fleet,
    killed_in_the_agent,
    run_through,
    sql,
    until,
)


def test_a_round_runs_each_step_once_and_is_done(fleet: Fleet) -> None:
    a = fleet.start("a")
    assert a.ask("state", run="r1") == "absent"
    run_through(a, "r1", "a")
    run_through(a, "r2", "a")
    assert a.steps("r1") == ALL_STEPS
    assert a.told("fault") == []


def test_a_round_that_gave_up_for_now_goes_on_when_it_is_revived_and_without_a_start(fleet: Fleet) -> None:
    a = fleet.start("a", "--gives-up", "r1:close")
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="close")
    a.ask("quiet")
    assert a.ask("state", run="r1") == "running"
    a.ask("revive")
    a.heard(event="ended", run="r1", step="close")
    run_through(a, "r2", "a")
    assert a.steps("r1") == [*ALL_STEPS, "close"]
    assert a.told("fault") == []


def test_a_round_that_gave_up_and_was_fenced_meanwhile_is_not_revived(fleet: Fleet) -> None:
    a = fleet.start("a", "--gives-up", "r1:close", "--slots", "1")
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="close")
    a.ask("quiet")
    a.ask("fence", run="r1")
    a.ask("revive")
    assert a.ask("state", run="r1") == "failed"
    # With one slot the older round would have been before this one.
    run_through(a, "r2", "a")
    assert a.steps("r1") == ALL_STEPS


def test_a_killed_host_goes_on_from_the_step_it_was_killed_in(fleet: Fleet) -> None:
    killed_in_the_agent(fleet)
    again = fleet.start("a")
    again.heard(event="ended", run="r1", step="close")
    run_through(again, "r2", "a")
    assert again.steps("r1") == FROM_THE_AGENT
    until(again, "r1", "done")


def test_a_neighbour_does_not_take_the_round_of_a_killed_host(fleet: Fleet) -> None:
    b = fleet.start("b")
    killed_in_the_agent(fleet)
    run_through(b, "r2", "b")
    # The neighbour asks for work fifty times as often, so it would be the first to see the round re-enqueued.
    again = fleet.start("a", "--polling-s", "1.0")
    again.heard(event="ended", run="r1", step="close")
    run_through(b, "r3", "b")
    assert again.steps("r1") == FROM_THE_AGENT
    assert b.steps("r1") == []


def test_an_evicted_round_goes_on_at_its_new_host_and_only_there(fleet: Fleet) -> None:
    killed_in_the_agent(fleet)
    b = fleet.start("b")
    b.ask("evict", run="r1", host="b")
    b.heard(event="ended", run="r1", step="close")
    again = fleet.start("a")
    run_through(again, "r2", "a")
    assert b.steps("r1") == FROM_THE_AGENT
    assert again.steps("r1") == []


def test_a_host_that_lost_a_round_by_eviction_stops_at_its_next_checkpoint(fleet: Fleet) -> None:
    a = fleet.start("a", "--hold", IN_THE_AGENT)
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="run_agent")
    b = fleet.start("b")
    b.ask("evict", run="r1", host="b")
    b.heard(event="ended", run="r1", step="close")
    a.ask("release", key=IN_THE_AGENT)
    assert a.ask("quiet") is True
    assert a.steps("r1") == ["prepare", "run_agent"]
    assert b.steps("r1") == FROM_THE_AGENT
    assert a.told("fault") == []


def test_a_host_that_starts_does_not_touch_what_its_neighbour_is_doing(fleet: Fleet) -> None:
    b = fleet.start("b", "--hold", IN_THE_AGENT)
    b.ask("submit", run="r1", host="b")
    b.heard(event="begun", run="r1", step="run_agent")
    a = fleet.start("a")
    run_through(a, "r2", "a")
    run_through(b, "r3", "b")
    b.ask("release", key=IN_THE_AGENT)
    b.heard(event="ended", run="r1", step="close")
    assert b.steps("r1") == ALL_STEPS
    assert a.steps("r1") == []


def test_what_was_never_assigned_cannot_be_evicted(fleet: Fleet) -> None:
    a = fleet.start("a")
    assert a.ask("evict", run="r1", host="b") == "UnknownRun"


def test_cancel_is_seen_by_the_step_and_the_round_still_cleans_up(fleet: Fleet) -> None:
    a = fleet.start("a", "--hold", IN_THE_AGENT)
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="run_agent")
    a.ask("cancel")
    a.heard(event="ended", run="r1", step="close")
    assert a.steps("r1") == ["prepare", "run_agent", "save_work", "close"]
    assert a.heard(event="begun", step="close")["how"] == "cancelled"


def test_another_protocol_leaves_a_round_alone_and_the_same_one_finishes_it(fleet: Fleet) -> None:
    killed_in_the_agent(fleet)
    newer = fleet.start("a", "--protocol", "2")
    run_through(newer, "r2", "a")
    newer.kill()
    same = fleet.start("a")
    same.heard(event="ended", run="r1", step="close")
    assert newer.steps("r1") == []
    assert same.steps("r1") == FROM_THE_AGENT


def test_another_protocol_does_not_dequeue_a_round_that_waits(fleet: Fleet) -> None:
    first = fleet.start("a", "--slots", "1", "--hold", IN_THE_AGENT)
    first.ask("submit", run="r1", host="a")
    first.heard(event="begun", run="r1", step="run_agent")
    first.ask("submit", run="r2", host="a")
    first.kill()
    newer = fleet.start("a", "--protocol", "2")
    run_through(newer, "r3", "a")
    assert newer.steps("r1") == []
    assert newer.steps("r2") == []


def test_a_round_written_under_another_protocol_is_fenced(fleet: Fleet) -> None:
    a = fleet.start("a")
    a.ask("submit", run="r1", host="a", protocol=0)
    fault = a.heard(event="fault", run="r1")
    run_through(a, "r2", "a")
    assert "protocol 0" in fault["detail"]
    assert a.steps("r1") == []
    until(a, "r1", "failed")


def test_a_fenced_round_is_carried_on_by_nobody_whatever_its_protocol(fleet: Fleet) -> None:
    killed_in_the_agent(fleet)
    newer = fleet.start("a", "--protocol", "2")
    newer.ask("fence", run="r1")
    assert newer.ask("state", run="r1") == "failed"
    run_through(newer, "r1", "a", number=2)
    newer.kill()
    older = fleet.start("a")
    run_through(older, "r2", "a")
    assert newer.steps("r1") == []
    assert older.steps("r1") == []
    # One that is done stays done, and one that nobody knows is nothing to fence.
    until(older, "r2", "done")
    older.ask("fence", run="r2")
    older.ask("fence", run="r9")
    assert (older.ask("state", run="r2"), older.ask("state", run="r9")) == ("done", "absent")


def test_a_round_that_is_delayed_can_be_fenced(fleet: Fleet) -> None:
    a = fleet.start("a")
    a.ask("submit", run="r1", host="a", delay_s=3600.0)
    a.ask("fence", run="r1")
    a.ask("hasten", run="r1")
    run_through(a, "r2", "a")
    assert a.steps("r1") == []


def test_changed_settings_do_not_change_a_round_in_flight(fleet: Fleet) -> None:
    killed_in_the_agent(fleet, "--model", "sonnet")
    again = fleet.start("a", "--model", "opus")
    run_through(again, "r2", "a")
    assert again.heard(event="begun", run="r1", step="run_agent")["model"] == "sonnet"
    assert again.heard(event="begun", run="r2", step="run_agent")["model"] == "opus"


def test_a_delayed_round_holds_no_slot_and_outlives_its_host(fleet: Fleet) -> None:
    a = fleet.start("a", "--slots", "1")
    a.ask("submit", run="r1", host="a", delay_s=3600.0)
    run_through(a, "r2", "a")
    assert a.ask("state", run="r1") == "delayed"
    a.kill()
    again = fleet.start("a", "--slots", "1")
    assert again.ask("state", run="r1") == "delayed"
    again.ask("hasten", run="r1")
    again.heard(event="ended", run="r1", step="close")
    assert again.steps("r1") == ALL_STEPS


def test_a_delay_runs_out_by_itself(fleet: Fleet) -> None:
    a = fleet.start("a")
    a.ask("submit", run="r1", host="a", delay_s=0.2)
    a.heard(event="ended", run="r1", step="close")
    assert a.steps("r1") == ALL_STEPS


def test_a_round_that_was_said_to_be_due_and_that_nobody_began_is_absent(fleet: Fleet) -> None:
    a = fleet.start("a", "--heralds")
    a.ask("submit", run="r1", host="a", delay_s=0.2)
    a.heard(event="due", run="r1")
    # Until that is on record it is being told.
    states = (a.ask("state", run="r1") for _ in range(10_000))
    assert next((state for state in states if state != "queued"), "queued") == "absent"
    a.kill()
    assert fleet.start("a", "--heralds").ask("state", run="r1") == "absent"


def test_many_are_asked_about_at_once(fleet: Fleet) -> None:
    a = fleet.start("a", "--hold", IN_THE_AGENT)
    run_through(a, "r2", "a")
    until(a, "r2", "done")
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="run_agent")
    unknown = [f"n{number}" for number in range(1200)]
    a.ask("submit", run="d", host="a", delay_s=3600.0)
    told = a.ask("states", runs=["r1", "r2", "d", *unknown])
    assert told == {"r1": "running", "r2": "done", "d": "delayed"} | dict.fromkeys(unknown, "absent")
    assert a.ask("states", runs=[]) == {}


def test_no_more_rounds_than_slots_are_at_work(fleet: Fleet) -> None:
    a = fleet.start("a", "--slots", "1", "--hold", IN_THE_AGENT)
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="run_agent")
    a.ask("submit", run="r2", host="a")
    # Another host's round passes through the same intake meanwhile, so r2 has had its chance.
    b = fleet.start("b")
    run_through(b, "r3", "b")
    assert a.steps("r2") == []
    a.ask("release", key=IN_THE_AGENT)
    a.heard(event="ended", run="r2", step="close")


def test_a_round_submitted_again_runs_once(fleet: Fleet) -> None:
    a = fleet.start("a")
    a.ask("submit", run="r1", host="a")
    run_through(a, "r1", "a")
    a.ask("submit", run="r1", host="a")
    run_through(a, "r2", "a")
    a.kill()
    again = fleet.start("a")
    again.ask("submit", run="r1", host="a")
    run_through(again, "r3", "a")
    assert a.steps("r1") == ALL_STEPS
    assert again.steps("r1") == []


def test_a_step_may_submit_the_next_round(fleet: Fleet) -> None:
    a = fleet.start("a", "--follow", "--hold", "r1:close")
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="close")
    a.ask("release", key="r1:close")
    a.heard(event="ended", run="r1", step="close")
    a.kill()
    again = fleet.start("a", "--follow")
    again.ask("hasten", run="r1", number=2)
    again.heard(event="ended", run="r1", number=2, step="close")
    assert again.steps("r1", 2) == ALL_STEPS
    # What was submitted from a step is a round of its own, and not one of the step's own records.
    steps = sql(fleet, "select function_name from operation_outputs where workflow_uuid = 'round:r1:1'")
    assert {name for (name,) in steps} <= set(ALL_STEPS)


def test_a_fault_of_ours_ends_the_round_and_is_told_once(fleet: Fleet) -> None:
    a = fleet.start("a", "--broken", IN_THE_AGENT)
    a.ask("submit", run="r1", host="a")
    a.heard(event="fault", run="r1")
    run_through(a, "r2", "a")
    until(a, "r1", "failed")
    a.kill()
    again = fleet.start("a")
    run_through(again, "r3", "a")
    assert a.steps("r1") == ["prepare", "run_agent"]
    assert again.steps("r1") == []
    assert len(a.told("fault")) == 1
    assert again.ask("state", run="r1") == "failed"


def test_closing_leaves_the_step_in_flight_for_the_next_process(fleet: Fleet) -> None:
    a = fleet.start("a", "--hold", IN_THE_AGENT)
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="run_agent")
    assert a.ask("close", deadline_s=10.0) is True
    a.leave()
    again = fleet.start("a")
    again.heard(event="ended", run="r1", step="close")
    assert again.steps("r1") == FROM_THE_AGENT
    assert a.told("fault") + again.told("fault") == []


def test_closing_returns_though_a_step_does_not_leave(fleet: Fleet) -> None:
    a = fleet.start("a", "--hold", IN_THE_AGENT, "--deaf")
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="run_agent")
    assert a.ask("close", deadline_s=1.0) is False
    # The step comes to its end after all, with nothing left to record it: that is no fault of the round.
    a.ask("release", key=IN_THE_AGENT)
    assert a.ask("quiet") is True
    a.leave()
    again = fleet.start("a")
    again.heard(event="ended", run="r1", step="close")
    assert again.steps("r1") == FROM_THE_AGENT
    assert a.told("fault") == []


def test_a_step_that_ends_while_closing_is_recorded(fleet: Fleet) -> None:
    a = fleet.start("a", "--hold", IN_THE_AGENT, "--deaf")
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="run_agent")
    a.ask("release_at_close", key=IN_THE_AGENT)
    assert a.ask("close", deadline_s=10.0) is True
    a.leave()
    again = fleet.start("a")
    again.heard(event="ended", run="r1", step="close")
    assert again.steps("r1") == ["collect", "save_work", "close"]


def test_a_fact_that_cannot_be_written_leaves_the_round_in_flight(fleet: Fleet) -> None:
    a = fleet.start("a", "--hold", IN_THE_AGENT)
    a.ask("submit", run="r1", host="a")
    a.heard(event="begun", run="r1", step="run_agent")
    sql(fleet, "alter table operation_outputs rename to elsewhere")
    a.ask("release", key=IN_THE_AGENT)
    assert a.ask("quiet") is True
    a.kill()
    sql(fleet, "alter table elsewhere rename to operation_outputs")
    again = fleet.start("a")
    again.heard(event="ended", run="r1", step="close")
    assert again.steps("r1") == FROM_THE_AGENT
    assert a.told("fault") == []


def test_a_round_that_is_submitted_does_not_wait_for_the_next_poll(fleet: Fleet) -> None:
    host = fleet.start("a", "--polling-s", "3600")
    run_through(host, "r1", "a")
