"""Every mistake in an entry of `build_events` is named with its key before the run."""

from __future__ import annotations

import numpy as np
import pytest

from building.bench import HIT, OUT
from mimodaq.config import load_setup
from mimodaq.functions import Surroundings, build_events, check_options
from mimodaq.functions.building._plan import make_plan
from mimodaq.node import check_functions

TIME = {"by": "time", "window": "200 ns", "time_field": "t_ns"}
ONE = (1,)


def plan_of(config, out=OUT, reads=None, processes=1, **around):
    assert not check_options(build_events, config)
    surroundings = Surroundings(reads or {"RB_1": HIT, "RB_2": HIT}, {"RB_3": out}, {}, processes)
    return make_plan(config, surroundings)


def with_fields(*fields):
    return np.dtype([*OUT.descr, *fields])


def test_times_are_read_with_their_units():
    plan, problems = plan_of(
        {**TIME, "offsets": {"RB_2": "35 ns"}, "disorder": "1.5 us", "max_wait": "3 s", "keep": {"late": True}}
    )
    assert not problems
    assert (plan.window, plan.offsets, plan.disorder, plan.max_wait_s) == (200, (0, 35), 1500, 3.0)
    assert plan.keep == (True, False, True, False)


def test_the_ticks_are_those_of_the_time_field():
    hit = np.dtype([("t_ps", "<i8", ONE)])
    out = np.dtype([("RB_1_t_ps", "<i8", ONE)])
    plan, _ = plan_of({"by": "time", "window": "0.25 ns", "time_field": "t_ps"}, out, {"RB_1": hit, "RB_2": hit})
    assert (plan.window, plan.ticks_per_s) == (250, 10**12)


@pytest.mark.parametrize(
    ("config", "key", "said", "suggestion"),
    [
        ({"by": "time"}, "window", "needs a window", ""),
        ({"window": "1 us"}, "window", "no meaning with 'by: counter'", ""),
        ({"by": "time", "window": "200 ns"}, "window", "resolve 0.24 us: use 1 us or more", ""),
        ({**TIME, "window": "0.2 ns"}, "window", "less than one tick", ""),
        ({**TIME, "window": "200 nV"}, "window", "is a voltage, but a time is needed", ""),
        ({**TIME, "window": "-5 ns"}, "window", "must not be negative", ""),
        ({**TIME, "window": "1 yr"}, "window", "unknown unit 'yr'", ""),
        ({**TIME, "time_field": "t"}, "time_field", "must end with its unit", ""),
        ({**TIME, "time_field": "T_ns"}, "time_field", "RB_1 has no field 'T_ns'", "t_ns"),
        ({"offsets": {"RB2": "1 us"}}, "offsets.RB2", "reads RB_1, RB_2", "RB_2"),
        ({"offsets": {"RB_2": "fast"}}, "offsets.RB_2", "expected a number", ""),
        ({"offsets": "35 ns"}, "offsets", "expected lines like {RB_1: 35 ns}", ""),
        ({"disorder": "1 us"}, "disorder", "a whole number of counters", ""),
        ({"max_wait": 0}, "max_wait", "longer than 0", ""),
        ({"max_pending": 1}, "max_pending", "2 or more", ""),
        ({"keep": {"incompl": True}}, "keep.incompl", "there is no 'incompl'", "incomplete"),
        ({"keep": {"late": "yes"}}, "keep.late", "true or false expected", ""),
        ({"keep": {"complete": False}}, "keep", "no event would be written", ""),
        ({"keep": True}, "keep", "expected lines like", ""),
        ({"min_sources": 3}, "min_sources", "must be 1 to 2", ""),
        ({"min_sources": 1}, "min_sources", "no effect while incomplete events are dropped", ""),
        ({"fields": {"RB_1_charg": "RB_1.charge"}}, "fields.RB_1_charg", "RB_3 has no field", "RB_1_charge"),
        ({"fields": {"RB_1_charge": "RB_1.charg"}}, "fields.RB_1_charge", "cannot be filled", "RB_1.charge"),
        ({"fields": {"RB_1_charge": "RB_1.wave"}}, "fields.RB_1_charge", "has 4 samples, the field has 1", ""),
        ({"fields": ["RB_1.charge"]}, "fields", "expected lines like", ""),
    ],
)
def test_a_wrong_option_is_named(config, key, said, suggestion):
    plan, problems = plan_of(config)
    assert plan is None
    problem = problems[0]
    assert {other.key for other in problems} == {problem.key} == {("config", *key.split("."))}
    assert said in problem.message
    assert problem.suggestion == suggestion


@pytest.mark.parametrize(
    ("field", "said", "suggestion"),
    [
        (("charge", "<f4", ONE), "may be RB_1.charge or RB_2.charge: call it RB_1_charge", ""),
        (("RB_1_chrge", "<f4", ONE), "nothing fills the field 'RB_1_chrge'", "RB_1_charge"),
        (("RB_1_t_ns", "<f8", ONE), "RB_1.t_ns is int64, which float64 does not hold without loss", ""),
        (("RB_1_t_ns", "<i4", ONE), "which int32 does not hold", ""),
        (("RB_1_wave", "<f4", (5,)), "RB_1.wave has 4 samples, the field has 5", ""),
        (("RB_1_timestamp", "<f4", ONE), "RB_1.timestamp is float64", ""),
    ],
)
def test_an_output_field_that_cannot_be_filled_is_named(field, said, suggestion):
    _, problems = plan_of({}, with_fields(field))
    (problem,) = problems
    assert problem.key == ("RB_assign", "RB_3")
    assert said in problem.message
    assert problem.suggestion == suggestion


def test_the_mask_needs_a_bit_for_each_source():
    reads = {f"RB_{i}": HIT for i in range(1, 10)}
    _, problems = plan_of({}, np.dtype([("sources", "u1", ONE)]), reads)
    assert "an integer of 9 bits or more" in problems[0].message


def test_kept_events_need_a_field_that_tells_them_apart():
    bare = np.dtype([("RB_1_charge", "<f4", ONE)])
    _, problems = plan_of({"keep": {"incomplete": True, "late": True, "duplicate": True}}, bare)
    assert [problem.key[-1] for problem in problems] == ["incomplete", "late", "duplicate"]
    assert "add the field quality" in problems[1].message


@pytest.mark.parametrize(
    "field", [("t_ns", "<f8", ONE), ("t_ns", "<u8", ONE), ("t_ns", "<i8", (2,))], ids=["float", "uint64", "array"]
)
def test_a_time_field_must_be_one_integer_an_event(field):
    hit = np.dtype([field])
    _, problems = plan_of(TIME, np.dtype([("n_sources", "u1", ONE)]), {"RB_1": hit, "RB_2": hit})
    assert len(problems) == 2
    assert "a signed integer (int64), one an event, is needed" in problems[0].message


def test_several_processes_are_refused_with_the_reason():
    _, problems = plan_of({}, processes=2)
    assert problems[0].key == ("num_process",)
    assert "partners would not meet" in problems[0].message


def test_a_single_source_is_refused():
    _, problems = plan_of({}, reads={"RB_1": HIT})
    assert problems[0].key == ("RB_assign",)


SETUP = """\
RingBuffer:
  - RB_1: {number_of_slots: 16, data_type: {1: [x, float32]}}
  - RB_2: {number_of_slots: 16, data_type: {1: [x, float32]}}
  - RB_3: {number_of_slots: 16, data_type: {1: [RB_1_x, float32], 2: [RB_2_y, float32]}}
Functions:
  - Fkt_1: {function: simulate, RB_assign: {RB_1: write}}
  - Fkt_2: {function: simulate, RB_assign: {RB_2: write}}
  - Fkt_3:
      function: build_events
      RB_assign: {RB_1: read, RB_2: read, RB_3: write}
      config:
        offsets:
          RB_4: 35 ns
  - Fkt_4: {function: drain, RB_assign: {RB_3: read}}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ["setup.yaml:10: build_events: nothing fills the field 'RB_2_y'", "setup.yaml:13: build_events: off"]),
        (
            "      config:",
            "      num_process: 2\n      config:",
            ["setup.yaml:11: build_events needs 'num_proc"],
        ),
        ("offsets:", "ofsets:", ["setup.yaml:12: build_events has no option 'ofsets'"]),
        ("        offsets:\n          RB_4: 35 ns", "        by: trigger", ["setup.yaml:12: option 'by' of build_ev"]),
    ],
    ids=["fields and offsets", "processes", "unknown option", "unknown word"],
)
def test_the_check_of_a_setup_names_file_and_line(tmp_path, old, new, said):
    path = tmp_path / "setup.yaml"
    path.write_text(SETUP.replace(old, new))
    found = [str(problem).rpartition("/")[2] for problem in check_functions(load_setup(path))]
    assert len(found) == len(said), found
    for problem, start in zip(found, said, strict=True):
        assert problem.startswith(start)
