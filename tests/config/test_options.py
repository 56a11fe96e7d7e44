"""The options of a function come from five places, and each is found again by file and line."""

import pytest

from mimodaq.config import SetupErrors, load_setup

SHARED = """\
base: &base {width: 3, height: 4}
find_peaks:
  <<: *base
  height: 5
  limits:
    low: 1
    high: 2
"""


@pytest.fixture
def layered(project):
    """A setup with options in each place a file can have."""
    project.write("config/common.yaml", "find_peaks: {a: 2, b: 2, c: 2, d: 2}\n")
    project.write("config/own.yaml", "# only for Fkt_2\nc: 3\nd: 3\n")
    text = project.good.replace("Functions:\n", "Functions:\n  - Fkt_main: {config_file: config/common.yaml}\n")
    text = text.replace("config: {threshold: 0.1}", "config_file: config/own.yaml\n      config: {d: 4}")
    return text + "FunctionConfigs:\n  find_peaks:\n    a: 1\n    z: 1\n"


def test_the_nearest_place_counts_alone_and_inline_options_come_on_top(project, layered):
    setup = project.load(layered)
    assert setup.functions["Fkt_2"].config == {"c": 3, "d": 4}
    assert setup.functions["Fkt_1"].config == {}


def test_the_command_line_wins_over_all(project, layered):
    setup = project.load(layered, "FunctionConfigs.find_peaks.a=9", "Fkt_2.config.d=8")
    assert setup.functions["Fkt_2"].config == {"c": 3, "d": 8, "a": 9}


def test_each_option_is_found_where_it_is_written(project, layered):
    setup = project.load(layered, "Fkt_2.config.e=1")
    places = {option: str(setup.where_of("Fkt_2", "config", option)) for option in setup.functions["Fkt_2"].config}
    assert places == {
        "c": "config/own.yaml:2",
        "d": "setup.yaml:19",
        "e": "--set Fkt_2.config.e=1",
    }


def test_keys_inside_an_option_are_found_and_merge_keys_lead_to_their_anchor(project):
    project.write("common.yaml", SHARED)
    text = project.good.replace("Functions:\n", "Functions:\n  - Fkt_main: {config_file: common.yaml}\n")
    setup = project.load(text)
    assert setup.functions["Fkt_2"].config == {
        "width": 3,
        "height": 5,
        "limits": {"low": 1, "high": 2},
        "threshold": 0.1,
    }
    assert str(setup.where_of("Fkt_2", "config", "width")) == "common.yaml:1"
    assert str(setup.where_of("Fkt_2", "config", "height")) == "common.yaml:4"
    assert str(setup.where_of("Fkt_2", "config", "limits", "high")) == "common.yaml:7"
    assert str(setup.where_of("Fkt_2", "config", "missing")) == "setup.yaml:18"


def test_other_keys_are_found_too(project):
    setup = project.load(project.good)
    assert str(setup.where_of("Fkt_2", "file_name")) == "setup.yaml:14"
    assert str(setup.where_of("Fkt_2", "fkt_name")) == "setup.yaml:15"
    assert str(setup.where_of("Fkt_1", "fkt_name")) == "setup.yaml:11"
    assert str(setup.where_of("Fkt_2", "RB_assign", "RB_2")) == "setup.yaml:18"
    assert str(setup.where_of("Fkt_1", "restart")) == "setup.yaml:10"
    assert str(setup.where_of("RB_1", "data_type")) == "setup.yaml:5"
    assert setup.where_of("nobody").file == str(setup.path)


def test_configuration_files_are_looked_for_beside_the_setup_first(project):
    project.write("demo/setup.yaml", project.changed("config: {threshold: 0.1}", "config_file: c.yaml"))
    project.write("c.yaml", "from: here\n")
    setup = load_setup("demo/setup.yaml")
    assert setup.functions["Fkt_2"].config == {"from": "here"}
    assert str(setup.where_of("Fkt_2", "config", "from")) == "c.yaml:1"
    project.write("demo/c.yaml", "\nfrom: beside\n")
    setup = load_setup("demo/setup.yaml")
    assert setup.functions["Fkt_2"].config == {"from": "beside"}
    assert str(setup.where_of("Fkt_2", "config", "from")) == "demo/c.yaml:2"
    assert setup.config_files == (project.folder / "demo/c.yaml",)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "c.yaml: the file is empty: expected lines of the form 'key: value'"),
        ("a: 1\n- b\n", "c.yaml:2: this does not fit the block that starts in line 1: check indentation and quotes"),
        ("- a\n", "c.yaml:1: expected lines of the form 'key: value', found a list"),
        ("3: a\n", "c.yaml:1: an option must have a name: put 3 in quotes to use it as one"),
    ],
)
def test_mistakes_in_a_configuration_file_have_its_name(project, content, expected):
    project.write("c.yaml", content)
    assert project.problems(project.changed("config: {threshold: 0.1}", "config_file: c.yaml")) == [expected]


def test_a_missing_configuration_file_suggests_its_neighbour(project):
    project.write("config/peaks.yaml", "a: 1\n")
    assert project.problems(project.changed("config: {threshold: 0.1}", "config_file: config/peak.yaml")) == [
        "setup.yaml:17: the configuration file 'config/peak.yaml' does not exist (did you mean 'config/peaks.yaml'?)"
    ]
    assert project.problems(project.changed("config: {threshold: 0.1}", "config_file: config")) == [
        "setup.yaml:17: the configuration file 'config' is not a file"
    ]


def test_both_folders_searched_are_named_if_they_differ(project):
    project.write("demo/setup.yaml", project.changed("config: {threshold: 0.1}", "config_file: peaks.yaml"))
    with pytest.raises(SetupErrors) as caught:
        load_setup("demo/setup.yaml")
    message = "the configuration file 'peaks.yaml' does not exist in demo or the current folder"
    assert str(caught.value) == f"demo/setup.yaml:17: {message}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("find_peaks: 3\n", "c.yaml:1: find_peaks: expected options as 'name: value' lines, found 3"),
        ("general: 3\n", "c.yaml:1: general: expected 'key: value' lines, found 3"),
        ("general: {runtime: soon}\n", "c.yaml:1: general.runtime: expected a number, for example '2 s', found 'soon'"),
    ],
)
def test_mistakes_in_the_common_file_have_its_name(project, content, expected):
    project.write("c.yaml", content)
    text = project.good.replace("Functions:\n", "Functions:\n  - Fkt_main: {config_file: c.yaml}\n")
    assert project.problems(text) == [expected]


def test_a_block_without_options_is_none(project):
    project.write("c.yaml", "find_peaks:\ngeneral:\n")
    text = project.good.replace("Functions:\n", "Functions:\n  - Fkt_main: {config_file: c.yaml}\n")
    assert project.load(text).functions["Fkt_2"].config == {"threshold": 0.1}


def test_a_block_that_is_nearly_called_like_a_function_is_a_warning(project):
    setup = project.load(project.good + "FunctionConfigs: {find_peak: {a: 1}, unrelated: {b: 2}}\n")
    assert [str(warning) for warning in setup.warnings] == [
        "setup.yaml:22: no function is called 'find_peak': the block has no effect (did you mean 'find_peaks'?)"
    ]


@pytest.mark.parametrize(
    ("top", "main", "general", "expected"),
    [
        ("", "", "", (None, None)),
        ("", "runevents: 5, runtime: 2 min", "", (5, 120)),
        ("", "runevents: 5, runtime: 7", "runevents: 6", (6, 7)),
        ("", "runevents: 5", "runevents: 0, sample_time_ns: 4", (None, None)),
        ("events: 7", "runevents: 5", "runevents: 6, runtime: 1 h", (7, 3600)),
        ("duration: 1.5 h", "runtime: 5", "", (None, 5400)),
    ],
)
def test_limits_nearer_the_top_of_the_setup_win(project, top, main, general, expected):
    project.write("c.yaml", f"general: {{{general}}}\n")
    main = ", ".join(filter(None, ["config_file: c.yaml", main]))
    text = project.good.replace("Functions:\n", f"Functions:\n  - Fkt_main: {{{main}}}\n")
    setup = project.load(f"{top}\n{text}")
    assert (setup.events_limit, setup.duration_s) == expected
