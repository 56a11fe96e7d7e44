"""What is possible when stands in one table, which is published."""

import json

import pytest

from mimodaq.protocol.states import OURS, RULES, CommandTable, State, combine, refusal, table

STEADY = {"idle", "configured", "ready", "running", "paused", "error", "offline"}


def test_the_states_are_those_of_the_design():
    assert {s.value for s in State if not s.is_transitional} == STEADY
    commands = ["configure", "arm", "start", "pause", "resume", "stop", "abort", "reset", "shutdown"]
    assert list(RULES) == [*commands, "take", "surrender", "mark"]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", RULES)
def test_a_command_is_possible_exactly_where_its_rule_says_so(command, state):
    words = refusal(command, state)
    assert (words is None) == (state in RULES[command].legal)
    assert words is None or words.startswith(f"{command} is not possible while {state.value}: ")


def test_the_path_of_a_run_is_legal():
    state = State.IDLE
    for command in ("configure", "arm", "start", "pause", "resume", "stop", "start", "abort", "reset", "shutdown"):
        assert refusal(command, state) is None
        state = RULES[command].result
    assert state is State.OFFLINE


def test_a_run_can_be_left_from_every_state_of_it():
    for state in State:
        if state.is_in_run:
            assert refusal("stop", state) is None
            assert refusal("abort", state) is None
        if state is not State.OFFLINE:
            assert refusal("reset", state) is None


def test_refusals_name_the_way_out():
    assert refusal("start", State.IDLE) == "start is not possible while idle: configure first"
    assert refusal("start", State.RUNNING).endswith("a run is in progress already")
    assert refusal("pause", State.ERROR).endswith("reset first")
    assert refusal("resume", State.RUNNING).endswith("possible in paused")
    assert "there is no command 'go'; there are configure, arm" in refusal("go", State.IDLE)


def test_one_is_enough_for_error_offline_and_transition_and_all_are_needed_for_the_rest():
    assert combine([]) is State.IDLE
    assert combine([State.RUNNING, State.ERROR, State.OFFLINE]) is State.ERROR
    assert combine([State.RUNNING, State.OFFLINE, State.STOPPING]) is State.OFFLINE
    assert combine([State.RUNNING, State.STOPPING]) is State.STOPPING
    assert combine([State.RUNNING, State.PAUSED]) is State.PAUSED
    assert combine([State.RUNNING, State.READY]) is State.READY
    assert all(combine([state, state]) is state for state in State)


def test_the_table_is_plain_data_and_complete():
    data = json.loads(json.dumps(table()))
    assert {s["name"] for s in data["states"]} == {s.value for s in State}
    assert all(s["meaning"] for s in data["states"])
    assert [s["name"] for s in data["states"] if s["given_by"] == "broker"] == ["offline"]
    assert {c["name"]: set(c["legal_in"]) for c in data["commands"]} == {
        name: {s.value for s in rule.legal} for name, rule in RULES.items()
    }
    assert set(data["commands"][2]) == {"name", "legal_in", "why_not", "via", "result", "arguments", "meaning"}


@pytest.mark.parametrize("state", State)
def test_the_published_table_tells_all_that_the_rules_tell(state):
    received = CommandTable.of(json.loads(json.dumps(table())))
    for command in (*RULES, "go"):
        assert received.refusal(command, state) == refusal(command, state)
    assert received.possible(state) == [command for command in RULES if refusal(command, state) is None]
    assert {"take", "surrender", "mark"} <= set(received.possible(state))
    assert received == OURS


def test_a_table_of_another_broker_is_believed():
    commands = [{"name": "start", "why_not": {"ready": "start is not possible while ready: not today"}}]
    other = CommandTable.of({"commands": commands})
    assert other.refusal("start", State.IDLE) is None
    assert other.refusal("start", State.READY).endswith("not today")
    assert "there are start" in other.refusal("stop", State.RUNNING)
    assert other.possible(State.READY) == []
