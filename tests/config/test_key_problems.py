"""Keys and values that a setup may not have are named with their line and the nearest known key."""

import pytest


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "number_of_slots: 8",
            "number_of_slots: 8\n      channel_per_slots: 5",
            ["setup.yaml:4: unknown key 'channel_per_slots' in RB_1 (did you mean 'channel_per_slot'?)"],
        ),
        (
            "number_of_slots: 8",
            "numer_of_slots: 8",
            [
                "setup.yaml:2: RB_1 needs the key 'number_of_slots'",
                "setup.yaml:3: unknown key 'numer_of_slots' in RB_1 (did you mean 'number_of_slots'?)",
            ],
        ),
        (
            "number_of_slots: 8",
            "number_of_slots: 0",
            ["setup.yaml:3: RB_1.number_of_slots must be at least 1, found 0"],
        ),
        (
            "number_of_slots: 8",
            "number_of_slots: -1",
            ["setup.yaml:3: RB_1.number_of_slots must be at least 1, found -1"],
        ),
        (
            "number_of_slots: 8",
            "number_of_slots: many",
            ["setup.yaml:3: RB_1.number_of_slots: expected a whole number, found 'many'"],
        ),
        (
            "number_of_slots: 8",
            "number_of_slots: 1.5",
            ["setup.yaml:3: RB_1.number_of_slots: expected a whole number, found 1.5"],
        ),
        (
            "number_of_slots: 8",
            "number_of_slots: true",
            ["setup.yaml:3: RB_1.number_of_slots: expected a whole number, found true"],
        ),
        ("number_of_slots: 8", "number_of_slots:", ["setup.yaml:3: RB_1.number_of_slots has no value"]),
        (
            "channel_per_slot: 100",
            "channel_per_slot: []",
            ["setup.yaml:4: RB_1.channel_per_slot: expected a whole number, found a list"],
        ),
        ("num_process: 2", "num_process: 0", ["setup.yaml:16: Fkt_2.num_process must be at least 1, found 0"]),
        (
            "num_process: 2",
            "num_proces: 2",
            ["setup.yaml:16: unknown key 'num_proces' in Fkt_2 (did you mean 'num_process'?)"],
        ),
        (
            "num_process: 2",
            "restart: -1",
            ["setup.yaml:16: Fkt_2.restart: expected true, false or how often at most, found -1"],
        ),
        (
            "num_process: 2",
            "restart: often",
            ["setup.yaml:16: Fkt_2.restart: expected true, false or how often at most, found 'often'"],
        ),
        (
            "num_process: 2",
            "config_file: 3",
            ["setup.yaml:16: Fkt_2.config_file: expected text (put a number in quotes), found 3"],
        ),
        (
            "config: {threshold: 0.1}",
            "config: 5",
            ["setup.yaml:17: config: expected options as 'name: value' lines, found 5"],
        ),
        (
            "config: {threshold: 0.1}",
            "config: {1: 0.1}",
            ["setup.yaml:17: an option must have a name: put 1 in quotes to use it as one"],
        ),
        (
            "      file_name: modules/peaks\n",
            "",
            ["setup.yaml:13: Fkt_2 needs the key 'file_name', or 'function: module:name'"],
        ),
        (
            "      fkt_name: find_peaks\n",
            "",
            ["setup.yaml:13: Fkt_2 needs the key 'fkt_name', or 'function: module:name'"],
        ),
        (
            "fkt_name: find_peaks",
            "fkt_name: find-peaks",
            ["setup.yaml:15: Fkt_2.fkt_name: expected the name of a function, found 'find-peaks'"],
        ),
        (
            "function: drain",
            "function: modules/my.py",
            ["setup.yaml:20: Fkt_3.function: expected the name of a function, found 'modules/my.py'"],
        ),
        (
            "function: drain",
            "function: ':drain'",
            ["setup.yaml:20: Fkt_3.function: expected the name of a function, found ':drain'"],
        ),
        (
            "function: drain",
            "function: drain\n      fkt_name: drain",
            ["setup.yaml:21: Fkt_3 has 'function' and 'fkt_name': keep one form"],
        ),
        (
            "{RB_2: read}",
            "{RB_02: read}",
            ["setup.yaml:21: RB_assign: there is no buffer 'RB_02' (did you mean 'RB_2'?)"],
        ),
        (
            "{RB_2: read}",
            "{RB_2: reed}",
            ["setup.yaml:21: RB_assign.RB_2: expected read, write or observe, found 'reed' (did you mean 'read'?)"],
        ),
        (
            "{RB_2: read}",
            "{RB_2: Read}",
            ["setup.yaml:21: RB_assign.RB_2: expected read, write or observe, found 'Read' (did you mean 'read'?)"],
        ),
        (
            "{RB_2: read}",
            "[RB_2]",
            ["setup.yaml:21: Fkt_3.RB_assign: expected a mapping of 'key: value' lines, found a list"],
        ),
        (
            "{RB_2: read}",
            "{RB_2: 1}",
            ["setup.yaml:21: Fkt_3.RB_assign.RB_2: expected text (put a number in quotes), found 1"],
        ),
        ("Fkt_3:", "Fkt_2:", ["setup.yaml:19: the name 'Fkt_2' is used twice under Functions, first in line 13"]),
        ("Fkt_3:", "RB_2:", ["setup.yaml:19: the name 'RB_2' is used for a buffer and for a function"]),
        (
            "Fkt_3:",
            "a/b:",
            ["setup.yaml:19: 'a/b' cannot be a name: use up to 64 characters, no '/' and no '.' at the start"],
        ),
        (
            "Fkt_3:",
            "7:",
            ["setup.yaml:19: 7 cannot be a name: use up to 64 characters, no '/' and no '.' at the start"],
        ),
        (
            "  - Fkt_3:\n",
            "    Fkt_3:\n",
            ["setup.yaml:19: 'Fkt_3' stands in the entry of 'Fkt_2': indent it further, or start it with '-'"],
        ),
        (
            "  - Fkt_3:\n",
            "  - Fkt_3\n  - Fkt_4:\n",
            ["setup.yaml:19: Functions: expected '- NAME:' with settings below it, found 'Fkt_3'"],
        ),
        ("  - Fkt_3:\n", "  - Fkt_3: 5\n  - Fkt_4:\n", ["setup.yaml:19: Fkt_3: expected settings below it, found 5"]),
    ],
)
def test_a_wrong_entry_is_named(project, old, new, expected):
    assert project.problems(project.changed(old, new)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("output_dir: x", "setup.yaml:1: unknown key 'output_dir' (did you mean 'output_directory'?)"),
        ("Ringbuffer: 3", "setup.yaml:1: unknown key 'Ringbuffer' (did you mean 'RingBuffer'?)"),
        ("variable: {a: 1}", "setup.yaml:1: unknown key 'variable' (did you mean 'variables'?)"),
        ("something: 1", "setup.yaml:1: unknown key 'something'"),
        ("12: 1", "setup.yaml:1: unknown key '12'"),
        ("GUI_control: maybe", "setup.yaml:1: GUI_control: expected true or false, found 'maybe'"),
        ("output_directory: 7", "setup.yaml:1: output_directory: expected text (put a number in quotes), found 7"),
        ("runevents: -3", "setup.yaml:1: runevents must be at least 0, found -3"),
        ("events: lots", "setup.yaml:1: events: expected a whole number, found 'lots'"),
        ("runtime: soon", "setup.yaml:1: runtime: expected a number, for example '2 s', found 'soon'"),
        ("duration: 5 mV", "setup.yaml:1: duration: '5 mV' is a voltage, but a time is needed, for example '2 s'"),
        ("duration: 5 mins", "setup.yaml:1: duration: unknown unit 'mins' in '5 mins'; did you mean 'min'?"),
        ("runtime: [1]", "setup.yaml:1: runtime: expected a time such as '2 h', found a list"),
        ("runtime: -1", "setup.yaml:1: runtime: must not be negative, found -1"),
        ("FunctionConfigs: 3", "setup.yaml:1: FunctionConfigs: expected a mapping of 'key: value' lines, found 3"),
        (
            "FunctionConfigs: {drain: 3}",
            "setup.yaml:1: drain: expected options as 'name: value' lines, found 3",
        ),
        ("variables: 3", "setup.yaml:1: variables: expected 'name: value' lines, found 3"),
        ("variables: {a b: 3}", "setup.yaml:1: variables: 'a b' cannot be a name: use letters, digits and '_'"),
        ("{events: 3, runevents: 4}", "setup.yaml:1: 'events' and 'runevents' are the same limit: keep one"),
        ("{duration: 3, runtime: 4}", "setup.yaml:1: 'duration' and 'runtime' are the same limit: keep one"),
        ("{input: 3, variables: {input: 4}}", "setup.yaml:1: 'input' is given here and under 'variables:': keep one"),
        (
            "hosts: {daq1: 10.0.0.1}",
            "setup.yaml:1: hosts.daq1: expected a mapping of 'key: value' lines, found '10.0.0.1'",
        ),
        ("hosts: {daq1: {addr: x}}", "setup.yaml:1: unknown key 'addr' in daq1 (did you mean 'address'?)"),
        (
            "hosts: {daq1: {address: x, role: optinal}}",
            "setup.yaml:1: daq1.role: one of essential, optional, found 'optinal' (did you mean 'optional'?)",
        ),
        ("broker: 7788", "setup.yaml:1: broker: expected text (put a number in quotes), found 7788"),
        ("brocker: daq1", "setup.yaml:1: unknown key 'brocker' (did you mean 'broker'?)"),
    ],
)
def test_a_wrong_key_at_the_top_is_named(project, line, expected):
    first = f"<<: {line}" if line.startswith("{") else line
    assert expected in project.problems(f"{first}\n{project.good}")


def test_missing_sections_are_named(project):
    assert project.problems("GUI_control: false\n") == [
        "setup.yaml: the setup needs the key 'RingBuffer'",
        "setup.yaml: the setup needs the key 'Functions'",
    ]


def test_empty_sections_are_named(project):
    assert project.problems("RingBuffer: []\nFunctions:\n") == [
        "setup.yaml:1: RingBuffer has no entries",
        "setup.yaml:2: Functions has no value",
    ]


def test_sections_of_the_wrong_kind_are_named(project):
    assert "setup.yaml:1: RingBuffer: expected '- NAME:' entries, found 3" in project.problems("RingBuffer: 3\n")


def test_a_wrong_key_of_fkt_main_is_named(project):
    text = project.changed("Functions:\n", "Functions:\n  - Fkt_main: {runevent: 3}\n")
    assert project.problems(text) == ["setup.yaml:10: unknown key 'runevent' in Fkt_main (did you mean 'runevents'?)"]


def test_all_mistakes_are_reported_at_once_in_the_order_of_lines(project):
    text = (
        project.good.replace("float32", "flot32")
        .replace("number_of_slots: 4", "number_of_slots: 0")
        .replace("num_process: 2", "num_proc: 2")
        .replace("{RB_2: read}", "{RB_2: reed}")
        .replace("function: simulate", "config_file: nowhere.yaml\n      function: simulate")
    )
    assert project.problems("hots: 1\n" + text) == [
        "setup.yaml:1: unknown key 'hots' (did you mean 'hosts'?)",
        "setup.yaml:6: unknown data type 'flot32' (did you mean 'float32'?)",
        "setup.yaml:8: RB_2.number_of_slots must be at least 1, found 0",
        "setup.yaml:9: unknown data type 'flot32' (did you mean 'float32'?)",
        "setup.yaml:12: the configuration file 'nowhere.yaml' does not exist",
        "setup.yaml:18: unknown key 'num_proc' in Fkt_2 (did you mean 'num_process'?)",
        "setup.yaml:23: RB_assign.RB_2: expected read, write or observe, found 'reed' (did you mean 'read'?)",
    ]


def test_mistakes_in_entries_do_not_hide_mistakes_of_the_graph(project):
    text = project.good.replace("float32", "flot32").replace("RB_2: write", "RB_2: observe")
    lines = project.problems(text)
    assert "setup.yaml:6: buffer 'RB_2' has no writer, so it stays empty: give a function 'RB_2: write'" in lines
    assert len(lines) == 3


def test_a_misspelt_buffer_does_not_bring_follow_up_complaints(project):
    lines = project.problems(project.changed("{RB_2: read}", "{RB_3: read}"))
    assert lines == ["setup.yaml:21: RB_assign: there is no buffer 'RB_3' (did you mean 'RB_2'?)"]


def test_hosts_on_one_computer_are_told_apart_by_their_ports(project):
    setup = project.load(
        "hosts: {daq1: {address: 127.0.0.1}, ana1: {address: 127.0.0.1, data_port: 7900}, b: {address: b}}\n"
        + project.good
    )
    assert [host.data_port for host in setup.hosts.values()] == [7800, 7900, 7800]


def test_a_setup_may_name_its_broker_and_what_it_can_do_without(project):
    text = "hosts: {daq1: {address: a}, ana1: {address: b, role: optional}, sto: {address: c, role: essential}}\n"
    setup = project.load(f"broker: daq1.lab:7788\n{text}{project.good}")
    assert setup.broker == "daq1.lab:7788"
    assert [host.role for host in setup.hosts.values()] == ["essential", "optional", "essential"]
    plain = project.load(text + project.good)
    assert plain.broker is None
    assert plain != setup
    changed = project.load(text + project.good, "broker=daq2.lab", "hosts.ana1.role=essential")
    assert (changed.broker, changed.hosts["ana1"].role) == ("daq2.lab", "essential")


def test_hosts_must_be_declared(project):
    text = project.changed("number_of_slots: 8", "number_of_slots: 8\n      host: daq").replace(
        "num_process: 2", "host: [ana1, ana3]"
    )
    assert project.problems("hosts: {daq1: {address: a}, ana1: {address: b}}\n" + text) == [
        "setup.yaml:5: the host 'daq' is not declared under 'hosts:' (did you mean 'daq1'?)",
        "setup.yaml:18: the host 'ana3' is not declared under 'hosts:' (did you mean 'ana1'?)",
    ]
