"""Whatever stands in a setup, loading it gives a setup or a list of problems, each on one line."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimodaq.config import SetupErrors, dump_text, load_setup

KEYS = st.sampled_from(
    [
        "RingBuffer",
        "Functions",
        "RB_1",
        "RB_2",
        "Fkt_1",
        "Fkt_main",
        "number_of_slots",
        "channel_per_slot",
        "data_type",
        "function",
        "file_name",
        "fkt_name",
        "RB_assign",
        "config",
        "config_file",
        "host",
        "hosts",
        "FunctionConfigs",
        "variables",
        "input",
        "runevents",
        "events",
        "runtime",
        "general",
        "restart",
        "x",
    ]
)
SCALARS = (
    st.sampled_from(
        ["read", "write", "float32", "simulate", "${x}", "setup.yaml", "c.yaml", "2 h", "", "a\nb", "a\x85b"]
    )
    | st.sampled_from([0, 1, -1, 2.5, 1e400, 10**30, True, None])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.sampled_from([0, 1, "a\nb", "${x}"]), inner, max_size=5)
    ),
    max_leaves=25,
)
SETUPS = st.fixed_dictionaries(
    {
        "RingBuffer": st.lists(st.dictionaries(KEYS, TREES, min_size=1, max_size=2), max_size=3) | TREES,
        "Functions": st.lists(st.dictionaries(KEYS, TREES, min_size=1, max_size=2), max_size=3) | TREES,
    },
    optional={"FunctionConfigs": TREES, "variables": TREES, "hosts": TREES, "runtime": TREES, "events": TREES},
)
OVERRIDES = st.lists(
    st.builds(
        lambda keys, value: ".".join(keys) + "=" + value,
        st.lists(KEYS | st.sampled_from(["0", "9", ""]), min_size=1, max_size=4),
        st.sampled_from(["1", "read", "[1, 2]", "{a: 1}", "", "[", "&a [*a]", "c.yaml"]),
    ),
    max_size=2,
)
CALM = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=100,
    deadline=None,
    derandomize=True,
)


def problems_of(overrides=()):
    try:
        load_setup("setup.yaml", overrides)
    except SetupErrors as errors:
        return errors
    return None


def load_or_explain(overrides=()):
    errors = problems_of(overrides)
    assert errors is None or len(str(errors).splitlines()) == len(errors.problems) > 0


@CALM
@given(SETUPS, TREES, OVERRIDES)
def test_any_tree_of_values_is_a_setup_or_is_explained(project, content, config, overrides):
    project.write("c.yaml", dump_text(config))
    project.write("setup.yaml", dump_text(content))
    load_or_explain(overrides)


@CALM
@given(st.data())
def test_any_damage_to_a_good_setup_is_explained(project, data):
    lines = project.good.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[index])))
        piece = data.draw(
            st.sampled_from(
                [
                    "",
                    ":",
                    "- ",
                    "[",
                    "}",
                    "*a",
                    "&a ",
                    "'",
                    "\t",
                    "<<: ",
                    "!!int ",
                    "!!bool ",
                    "!!float ",
                    "!!timestamp ",
                    "!!binary ",
                    "!!seq ",
                    "!!set ",
                    "\n",
                    "? ",
                ]
            )
        )
        lines[index] = lines[index][:cut] + piece + lines[index][data.draw(st.integers(cut, len(lines[index]))) :]
    project.write("setup.yaml", "".join(lines))
    load_or_explain()


@CALM
@given(st.binary(max_size=200))
def test_any_bytes_are_explained(project, content):
    (project.folder / "setup.yaml").write_bytes(content)
    assert problems_of() is not None
