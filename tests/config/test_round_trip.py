"""A resolved setup, written as YAML and read again, is the same setup."""

import pickle
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimodaq.config import dump_text, load_setup

NAMES = st.text(string.ascii_letters + string.digits + "_-äµ +:#", min_size=1, max_size=8).filter(
    lambda name: not name[0].isspace()
)
WORDS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(str.isidentifier)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["1e-3", "on", "${x}", "$${x}", "12:30", "null", "~", "- a", "2024-05-30", "0x1f", "1_000", " a ", "=", "<<", "\t"]
)
SCALARS = TEXTS | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none() | st.dates()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
TYPES = st.sampled_from(["float32", "int16", ">i2", "bool", "S7", "U3", "complex64", "M8[ns]", "uint64"])


@st.composite
def setups(draw):
    """A setup as plain values: a chain of buffers with random names, types and options."""
    buffer_names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    function_names = [f"f{i} {name}" for i, name in enumerate([*buffer_names, "end"])]
    buffers = []
    for name in buffer_names:
        fields = draw(
            st.lists(st.tuples(NAMES, TYPES, st.integers(1, 50)), min_size=1, max_size=3, unique_by=lambda f: f[0])
        )
        data_type = draw(TYPES | st.just([list(field) for field in fields]))
        buffers.append({name: {"number_of_slots": draw(st.integers(1, 99)), "data_type": data_type}})
    functions = []
    for before, name, after in zip([None, *buffer_names], function_names, [*buffer_names, None], strict=True):
        assign = ({before: "read"} if before else {}) | ({after: "write"} if after else {})
        functions.append(
            {
                name: {
                    "function": draw(WORDS | st.just("modules/my.py:filter") | st.just("a.b:c")),
                    "num_process": draw(st.integers(1, 9)),
                    "RB_assign": assign,
                    "config": draw(st.dictionaries(TEXTS, VALUES, max_size=3)),
                    "host": draw(st.sampled_from([[], ["h1"], "h2", ["h1", "h2"]])),
                    "restart": draw(st.booleans() | st.integers(0, 5)),
                }
            }
        )
    return {
        "hosts": {
            "h1": {"address": "10.0.0.1", "role": draw(st.sampled_from(["essential", "optional"]))},
            "h2": {"address": "b"},
        },
        "broker": draw(st.none() | st.sampled_from(["daq1", "10.0.0.1:7788", "[::1]:7788", "ipc:///run/x"])),
        "RingBuffer": buffers,
        "Functions": functions,
        "runevents": draw(st.integers(0, 10**9)),
        "runtime": draw(st.sampled_from([0, 1.5, "2 h", "10 ms"])),
        "GUI_control": draw(st.booleans()),
        "variables": draw(st.just({}) | st.just({"x": 5, "y": "${x}"})),
    }


@given(setups())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None, derandomize=True)
def test_a_resolved_setup_reads_back_equal(project, content):
    text = dump_text(content)
    setup = project.load(text)
    (project.folder / "elsewhere").mkdir(exist_ok=True)
    again_file = project.folder / "elsewhere" / "other.yaml"
    again_file.write_text(dump_text(setup.resolved()), encoding="utf-8")
    again = load_setup(again_file)
    assert again == setup
    assert again.resolved() == setup.resolved()
    for name, buffer in setup.buffers.items():
        assert again.buffers[name].event_dtype == buffer.event_dtype


def test_everything_looked_up_is_carried_out(project):
    project.write("c.yaml", "find_peaks: {a: &x [1], b: *x}\ngeneral: {runtime: 2 min}\n")
    text = project.good.replace("Functions:\n", "Functions:\n  - Fkt_main: {config_file: c.yaml}\n")
    setup = project.load("variables: {n: 3}\n" + text.replace("0.1", "'${n}'"), "runevents=10")
    (project.folder / "c.yaml").unlink()
    project.write("resolved.yaml", dump_text(setup.resolved()))
    again = load_setup("resolved.yaml")
    assert again == setup
    assert again.functions["Fkt_2"].config == {"a": [1], "b": [1], "threshold": 3}
    assert (again.events_limit, again.duration_s) == (10, 120)


def test_the_resolved_setup_is_readable(project):
    text = dump_text(project.load(project.good).resolved())
    assert "- Fkt_2:\n    function: modules/peaks:find_peaks\n    num_process: 2\n" in text
    assert "    data_type:\n    - [chA, float32]\n    - [chB, float32]\n" in text


def test_a_change_of_the_resolved_values_does_not_reach_the_setup(project):
    setup = project.load(project.good)
    setup.resolved()["Functions"][1]["Fkt_2"]["config"]["threshold"] = 5
    assert setup.functions["Fkt_2"].config == {"threshold": 0.1}


def test_setups_differ_when_an_option_differs(project):
    assert project.load(project.good) != project.load(project.good, "Fkt_2.config.threshold=0.2")


def test_a_setup_travels_to_other_processes(project):
    setup = project.load(project.good)
    copy = pickle.loads(pickle.dumps(setup))
    assert copy == setup
    assert copy.where_of("Fkt_2", "config", "threshold") == setup.where_of("Fkt_2", "config", "threshold")


@pytest.mark.parametrize(
    ("name", "prefix"), [("setup", ""), ("demo_setup", "demo_"), ("my_setup_2", "my_"), ("muon", "muon_")]
)
def test_run_directories_are_called_after_the_file(project, name, prefix):
    project.write(f"{name}.yaml", project.good)
    assert load_setup(f"{name}.yaml").run_prefix == prefix


def test_native_and_foreign_byte_order_are_kept(project):
    setup = project.load(project.changed("[chB, float32]", "[chB, '>f4']"))
    assert setup.buffers["RB_1"].row_dtype == np.dtype([("chA", "<f4"), ("chB", ">f4")])
