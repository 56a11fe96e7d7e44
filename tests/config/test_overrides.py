"""`--set KEY=VALUE` changes any key of the setup, and says so when it cannot."""

import pytest

from mimodaq.config import load_setup


@pytest.mark.parametrize(
    ("override", "attribute", "expected"),
    [
        ("RingBuffer.RB_1.number_of_slots=64", lambda s: s.buffers["RB_1"].slots, 64),
        ("RB_1.number_of_slots=64", lambda s: s.buffers["RB_1"].slots, 64),
        ("RB_1.data_type=int16", lambda s: s.buffers["RB_1"].row_dtype, "int16"),
        ("RB_1.data_type.1=[x, int8]", lambda s: s.buffers["RB_1"].fields[0].name, "x"),
        ("Functions.Fkt_2.num_process=4", lambda s: s.functions["Fkt_2"].processes, 4),
        ("Fkt_2.num_process=4", lambda s: s.functions["Fkt_2"].processes, 4),
        ("Fkt_2.restart=false", lambda s: s.functions["Fkt_2"].restart, False),
        ("Fkt_2.config.threshold=0.05", lambda s: s.functions["Fkt_2"].config, {"threshold": 0.05}),
        ("Fkt_2.config.new=[1, a]", lambda s: s.functions["Fkt_2"].config, {"threshold": 0.1, "new": [1, "a"]}),
        ("Fkt_2.config.a.b=1e-3", lambda s: s.functions["Fkt_2"].config, {"threshold": 0.1, "a": {"b": 1e-3}}),
        ("Fkt_2.config={x: 1}", lambda s: s.functions["Fkt_2"].config, {"x": 1}),
        ("FunctionConfigs.simulate.sleeptime=0", lambda s: s.functions["Fkt_1"].config, {"sleeptime": 0}),
        ("FunctionConfigs.simulate={a: 1, b: 2}", lambda s: s.functions["Fkt_1"].config, {"a": 1, "b": 2}),
        ("FunctionConfigs.find_peaks.threshold=7", lambda s: s.functions["Fkt_2"].config, {"threshold": 7}),
        ("Fkt_main.runtime=1 min", lambda s: s.duration_s, 60),
        ("Functions.Fkt_main.runevents=5", lambda s: s.events_limit, 5),
        ("runevents=100", lambda s: s.events_limit, 100),
        ("events=100", lambda s: s.events_limit, 100),
        ("duration=2 min", lambda s: s.duration_s, 120),
        ("GUI_control=no", lambda s: s.gui, False),
        ("hosts.daq1.address=10.0.0.1", lambda s: s.hosts["daq1"].address, "10.0.0.1"),
        ("Fkt_2.config.colour=#fff", lambda s: s.functions["Fkt_2"].config["colour"], "#fff"),
        ("Fkt_2.config.title=a = b", lambda s: s.functions["Fkt_2"].config["title"], "a = b"),
        ("Fkt_2.config.threshold=", lambda s: s.functions["Fkt_2"].config["threshold"], None),
    ],
)
def test_a_key_is_changed(project, override, attribute, expected):
    text = project.good.replace("Functions:\n", "Functions:\n  - Fkt_main: {runevents: 3}\n")
    assert attribute(project.load(text, override)) == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("runevents", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("runevent=3", "there is no key or variable 'runevent' in the setup (did you mean 'runevents'?)"),
        ("Fkt2.num_process=3", "there is no key or variable 'Fkt2' in the setup (did you mean 'Fkt_2'?)"),
        ("Fkt_2.num_proces=3", "unknown key 'num_proces' in Fkt_2 (did you mean 'num_process'?)"),
        ("Functions.Fkt2.num_process=3", "there is no 'Fkt2' under Functions (did you mean 'Fkt_2'?)"),
        ("RingBuffer.RB_9.number_of_slots=3", "there is no 'RB_9' under RingBuffer (did you mean 'RB_2'?)"),
        ("Functions=3", "name an entry and a key of it: 'Functions.NAME.KEY=VALUE'"),
        ("Fkt_2=3", "name a key of it: 'Fkt_2.KEY=VALUE'"),
        ("Functions.Fkt_2=3", "name a key of it: 'Functions.Fkt_2.KEY=VALUE'"),
        ("FunctionConfigs.simulat.x=3", "no function is called 'simulat' (did you mean 'simulate'?)"),
        ("FunctionConfigs.simulate=3", "expected a mapping such as '{option: value}', found 3"),
        ("Fkt_2.config.threshold.x=3", "threshold is a single value, so there is no 'x' in it"),
        ("RB_1.data_type.1.9=3", "RingBuffer.RB_1.data_type.1 is a list with the indices 0 to 1, not '9'"),
        ("RB_1.number_of_slots=0", "RB_1.number_of_slots must be at least 1, found 0"),
        ("RB_1.data_type.1.1=flot32", "unknown data type 'flot32' (did you mean 'float32'?)"),
        ("Fkt_2.config.x=[1", "a comma, or the end of the '[' of line 1, is missing before this"),
        (
            "Fkt_2.RB_assign.RB_1=reed",
            "RB_assign.RB_1: expected read, write or observe, found 'reed' (did you mean 'read'?)",
        ),
        ("input=x", "there is no key or variable 'input' in the setup"),
    ],
)
def test_a_wrong_override_is_named_with_what_was_typed(project, override, message):
    lines = project.problems(project.good, override)
    assert lines[0].replace(":1: ", ": ") == f"--set {override}: {message}"


def test_an_override_replaces_the_other_name_of_the_same_limit(project):
    setup = project.load("duration: 5\nevents: 3\n" + project.good, "runtime=7", "runevents=4")
    assert (setup.duration_s, setup.events_limit) == (7, 4)


def test_later_overrides_win(project):
    setup = project.load(
        project.good, "Fkt_2.config.a=1", "FunctionConfigs.find_peaks.a=2", "runevents=1", "runevents=2"
    )
    assert setup.functions["Fkt_2"].config["a"] == 2
    assert setup.events_limit == 2


def test_an_override_for_one_function_does_not_reach_another_with_the_same_block(project):
    text = project.good + "FunctionConfigs: {drain: {nested: {a: 1}}}\n"
    text = text.replace("function: simulate", "function: drain").replace("fkt_name: find_peaks", "fkt_name: drain")
    setup = project.load(text, "Fkt_3.config.nested.a=2")
    assert setup.functions["Fkt_3"].config == {"nested": {"a": 2}}
    assert setup.functions["Fkt_1"].config == {"nested": {"a": 1}}


def test_folders_given_on_the_command_line_start_in_the_current_one(project):
    project.write("demo/setup.yaml", project.good)
    project.write("mine.yaml", "x: 1\n")
    setup = load_setup("demo/setup.yaml", ["output_directory=out", "Fkt_2.config_file=mine.yaml"])
    assert setup.output_directory == project.folder / "out"
    assert setup.functions["Fkt_2"].config == {"x": 1, "threshold": 0.1}
    assert load_setup("demo/setup.yaml").output_directory == project.folder / "demo/target"
