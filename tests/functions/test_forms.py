"""A function's form is told by its signature alone; buffers and options that do not fit are found before a run."""

import functools
from typing import Any, Literal

import pytest

import mimodaq.functions as functions
from mimodaq.functions import Form, FormError, check_buffers, check_options, describe, form_of, options_of


def mimocorb(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    pass


def source(*, n: int = 1):
    yield n


def of_event(event, *, threshold: float = 0.0):
    """Keep high pulses.

    More text.
    """


def of_batch(batch):
    pass


def own_loop(io, *, n: int):
    pass


class Counter:
    def __call__(self, event):
        return True


@pytest.mark.parametrize(
    ("function", "form"),
    [
        (mimocorb, Form.MIMOCORB),
        (source, Form.SOURCE),
        (of_event, Form.EVENT),
        (of_batch, Form.BATCH),
        (own_loop, Form.IO),
        (lambda pulse: True, Form.EVENT),
        (Counter(), Form.EVENT),
        (functools.partial(of_event, threshold=1.0), Form.EVENT),
        (functools.lru_cache(of_event), Form.EVENT),
        (functools.partial(source, n=3), Form.SOURCE),
        (functools.wraps(source)(lambda *events: iter(events)), Form.SOURCE),
    ],
)
def test_the_form_is_recognised(function, form):
    assert form_of(function) is form


@pytest.mark.parametrize("name", functions.BUILTINS)
def test_every_built_in_has_a_form_and_a_line_of_description(name):
    function = getattr(functions, name)
    assert form_of(function) is Form.IO
    assert describe(function).endswith(".")


def test_a_function_without_event_is_told_what_there_is():
    def nothing():
        return 1

    with pytest.raises(
        FormError, match=r"nothing takes no event: a source is a generator .*, a filter is def nothing\("
    ):
        form_of(nothing)


def test_a_function_that_hides_its_parameters_is_named():
    with pytest.raises(FormError, match="does not tell its parameters"):
        form_of(max)


def test_the_first_line_describes():
    assert describe(of_event) == "Keep high pulses."
    assert describe(of_batch) == ""


def test_options_are_everything_but_the_event():
    assert list(options_of(of_event)) == ["threshold"]
    assert list(options_of(source)) == ["n"]
    assert list(options_of(own_loop)) == ["n"]


# -- buffers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "rb_assign"),
    [
        (source, {"A": "write"}),
        (of_event, {"A": "read"}),
        (of_event, {"A": "observe"}),
        (of_event, {"A": "read", "B": "write", "C": "write"}),
        (of_batch, {"A": "read", "B": "write"}),
        (own_loop, {"A": "read", "B": "read", "C": "observe", "D": "write"}),
        (mimocorb, {"A": "observe", "B": "read"}),
    ],
)
def test_buffers_that_fit(function, rb_assign):
    assert check_buffers(function, rb_assign) is None


@pytest.mark.parametrize(
    ("function", "rb_assign", "message"),
    [
        (source, {"A": "read"}, "source is a source (uses yield) and writes exactly one buffer, found A: read"),
        (source, {"A": "write", "B": "write"}, "writes exactly one buffer, found A: write, B: write"),
        (source, {"A": "write", "B": "observe"}, "writes exactly one buffer, found A: write, B: observe"),
        (of_event, {"A": "write"}, "reads or observes exactly one buffer, found A: write"),
        (of_event, {"A": "read", "B": "read"}, "reads or observes exactly one buffer, found A: read, B: read"),
        (of_event, {"A": "read", "B": "observe"}, "reads or observes exactly one buffer"),
        (of_batch, {"A": "observe"}, "of_batch gets batches of events and reads exactly one buffer, found A: observe"),
    ],
)
def test_buffers_that_do_not_fit_are_named(function, rb_assign, message):
    assert message in check_buffers(function, rb_assign)


# -- options --------------------------------------------------------------------------------------------------------


def many(
    event,
    *,
    threshold: float = 0.5,
    n: int = 1,
    name: str = "x",
    flag: bool = False,
    maybe: float | None = None,
    way: Literal["up", "down"] = "up",
    sample_time_ns: float = 4.0,
    sleeptime: float = 0.1,
    offset_V: float = 0.0,
    windows: list[int] | None = None,
    speed: str | float = "full",
    anything: Any = None,
    untyped=3,
):
    return {k: v for k, v in locals().items() if k != "event"}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"threshold": 1},
        {"threshold": "1e-3"},
        {"n": 5, "name": "y", "flag": True},
        {"maybe": None},
        {"maybe": 2},
        {"way": "down"},
        {"sample_time_ns": "4 ns"},
        {"windows": [1, 2]},
        {"speed": "recorded"},
        {"speed": 2},
        {"anything": {"a": 1}, "untyped": "text"},
        {"directory_prefix": "somewhere"},
    ],
)
def test_options_that_fit(config):
    assert check_options(many, config) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"threshold": "high"}, "option 'threshold' of many: "),
        ({"threshold": True}, "option 'threshold' of many: a number expected, True found"),
        ({"threshold": [1]}, "option 'threshold' of many: a number expected, [1] found"),
        ({"n": 1.5}, "option 'n' of many: a whole number expected, 1.5 found"),
        ({"n": "5"}, "option 'n' of many: a whole number expected, '5' found"),
        ({"name": 3}, "option 'name' of many: a text expected, 3 found"),
        ({"flag": "yes"}, "option 'flag' of many: true or false expected, 'yes' found"),
        ({"flag": 1}, "option 'flag' of many: true or false expected, 1 found"),
        ({"maybe": []}, "option 'maybe' of many: a number or nothing expected, [] found"),
        ({"threshold": None}, "option 'threshold' of many: a number expected, None found"),
        ({"way": "left"}, "option 'way' of many: 'left' is not one of 'up', 'down'"),
        ({"sample_time_ns": "4 V"}, "option 'sample_time_ns' of many: "),
    ],
)
def test_an_option_of_the_wrong_type_is_named(config, message):
    (problem,) = check_options(many, config)
    assert problem.message.startswith(message)
    assert problem.option == next(iter(config))


def test_an_unknown_option_comes_with_the_nearest_and_all_known_ones():
    (problem,) = check_options(of_event, {"treshold": 1})
    assert problem.message == "of_event has no option 'treshold'; it has threshold"
    assert problem.suggestion == "threshold"


def test_a_function_without_options_says_so():
    (problem,) = check_options(of_batch, {"threshold": 1})
    assert problem.message == "of_batch has no option 'threshold'; it has no options"


def test_an_option_that_is_missing_is_named():
    (problem,) = check_options(own_loop, {})
    assert problem.message == "own_loop needs the option 'n'"


def test_every_problem_is_found_at_once():
    assert [p.option for p in check_options(own_loop, {"m": 1, "n": "x", "o": 2})] == ["m", "n", "o"]


def test_mimocorb_functions_take_any_option():
    assert check_options(mimocorb, {"whatever": 1}) == []


def test_a_function_may_take_any_option():
    def open_minded(event, *, n: int = 0, **options):
        return n, options

    assert check_options(open_minded, {"whatever": 1}) == []
    assert [p.option for p in check_options(open_minded, {"n": "x"})] == ["n"]


@pytest.mark.parametrize(
    ("given", "option", "value"),
    [
        ({"sample_time_ns": "4 ns"}, "sample_time_ns", 4.0),
        ({"sample_time_ns": "2 us"}, "sample_time_ns", 2000.0),
        ({"sample_time_ns": 8}, "sample_time_ns", 8.0),
        ({"sleeptime": "5 ms"}, "sleeptime", 0.005),
        ({"offset_V": "500 mV"}, "offset_V", 0.5),
        ({"maybe": 3}, "maybe", 3.0),
        ({"speed": "recorded"}, "speed", "recorded"),
        ({"n": 3}, "n", 3),
    ],
)
def test_values_arrive_in_the_unit_and_type_of_the_option(stage, given, option, value):
    got = []

    @functools.wraps(many)
    def spy(event, **options):
        got.append(options)

    stage.play(spy, [{"chA": 1}], config=given)
    assert got == [{option: pytest.approx(value)}]
    assert type(got[0][option]) is type(value)


def test_annotations_that_cannot_be_read_say_nothing():
    def odd(event, *, n: "NoSuchType" = 1):  # noqa: F821
        return n

    assert check_options(odd, {"n": "text"}) == []
