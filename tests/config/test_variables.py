"""`${name}` stands for a value under `variables:`, which `--set name=VALUE` replaces."""

import pytest

from mimodaq.config import load_setup


def with_option(project, value):
    return project.changed("{threshold: 0.1}", f"{{option: {value}}}")


def option(setup):
    return setup.functions["Fkt_2"].config["option"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("'${input}'", "data.parquet"),
        ("'${level}'", 0.5),
        ("'level ${level} V of ${input}'", "level 0.5 V of data.parquet"),
        ("['${input}', {a: '${level}'}]", ["data.parquet", {"a": 0.5}]),
        ("'$${input}'", "${input}"),
        ("'$5 and ${}^{137}$Cs'", "$5 and ${}^{137}$Cs"),
    ],
)
def test_references_are_replaced(project, value, expected):
    text = "variables: {input: data.parquet, level: 0.5}\n" + with_option(project, value)
    assert option(project.load(text)) == expected


def test_a_setup_without_variables_is_left_alone(project):
    assert option(project.load(with_option(project, "'${x} $${y}'"))) == "${x} $${y}"


def test_input_at_the_top_is_short_for_a_variable(project):
    text = "input: data.parquet\n" + with_option(project, "'${input}'")
    assert option(project.load(text)) == "data.parquet"
    assert option(project.load(text, "input=[1, 2]")) == [1, 2]


def test_variables_reach_configuration_files(project):
    project.write("c.yaml", "\npath: '${input}'\n")
    text = "variables: {input: a}\n" + project.changed("config: {threshold: 0.1}", "config_file: c.yaml")
    assert project.load(text).functions["Fkt_2"].config == {"path": "a"}
    project.write("c.yaml", "\npath: '${inputs}'\n")
    assert project.problems() == [
        "c.yaml:2: unknown variable '${inputs}': declare it under 'variables:' (a plain '${' is '$${')"
        " (did you mean 'input'?)"
    ]


def test_variables_may_set_numbers_of_the_setup(project):
    text = "variables: {n: 3}\n" + project.changed("number_of_slots: 8", "number_of_slots: '${n}'")
    assert project.load(text).buffers["RB_1"].slots == 3
    assert project.load(text, "variables.n=5").buffers["RB_1"].slots == 5


def test_a_variable_without_value_must_be_given(project):
    text = "variables:\n  input:\n" + with_option(project, "'${input}'")
    assert project.problems(text) == ["setup.yaml:19: the variable 'input' has no value: add --set input=VALUE"]
    assert option(project.load(text, "input=5")) == 5


def test_an_unused_variable_needs_no_value(project):
    assert project.load("variables: {input: }\n" + project.good).variables == {"input": None}


def test_a_misspelt_variable_on_the_command_line_is_named(project):
    assert project.problems("variables: {input: a}\n" + project.good, "inputt=b") == [
        "--set inputt=b: there is no key or variable 'inputt' in the setup (did you mean 'input'?)"
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("data.parquet", "{here}/data.parquet"),
        ("../shared/data.csv", "{above}/shared/data.csv"),
        ("./raw", "{here}/raw"),
        ("folder", "{here}/folder"),
        ("/data/x", "/data/x"),
        ("[a.csv, 'runs/*.tar']", ["{here}/a.csv", "{here}/runs/*.tar"]),
        ("fast", "fast"),
        ("1/s", "1/s"),
        ("two words", "two words"),
        ("tcp://host/x.y", "tcp://host/x.y"),
        ("0.5", 0.5),
    ],
)
def test_files_on_the_command_line_are_relative_to_the_current_folder(project, value, expected):
    (project.folder / "folder").mkdir()
    project.write("demo/setup.yaml", "input: data.parquet\n" + with_option(project, "'${input}'"))

    def place(text):
        return text.format(here=project.folder, above=project.folder.parent) if isinstance(text, str) else text

    expected = [place(text) for text in expected] if isinstance(expected, list) else place(expected)
    assert option(load_setup("demo/setup.yaml", [f"input={value}"])) == expected
    assert option(load_setup("demo/setup.yaml")) == "data.parquet"


def test_a_value_is_not_shared_between_functions(project):
    text = "variables: {v: [1]}\n" + with_option(project, "['${v}', '${v}']")
    first, second = option(project.load(text))
    assert first == second == [1]
    assert first is not second
