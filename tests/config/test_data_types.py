"""Each form of `data_type:` gives the fields a user expects, or an error that names the line."""

import numpy as np
import pytest

FORMS = [
    "{1: [chA, float32], 2: [chB, int16]}",
    "{7: [chA, float32], 3: [chB, int16]}",
    "[[chA, float32], [chB, int16]]",
    "{chA: float32, chB: int16}",
    "{chA: f4, chB: '<i2'}",
]


def with_type(project, data_type):
    return project.changed("{1: [chA, float32], 2: [chB, float32]}", data_type)


@pytest.mark.parametrize("data_type", FORMS)
def test_all_forms_of_named_fields_are_alike(project, data_type):
    buffer = project.load(with_type(project, data_type)).buffers["RB_1"]
    assert buffer.event_dtype == np.dtype([("chA", "<f4", (100,)), ("chB", "<i2", (100,))])
    assert buffer.row_dtype == np.dtype([("chA", "<f4"), ("chB", "<i2")])
    assert not buffer.plain


def test_one_type_name_gives_one_field_and_a_plain_row(project):
    buffer = project.load(with_type(project, "int32")).buffers["RB_1"]
    assert buffer.plain
    assert buffer.row_dtype == np.dtype("int32")
    assert buffer.event_dtype == np.dtype([("data", "<i4", (100,))])


def test_a_field_may_have_its_own_number_of_samples(project):
    buffer = project.load(with_type(project, "[[chA, float32], [height, float64, 1]]")).buffers["RB_1"]
    assert buffer.event_dtype == np.dtype([("chA", "<f4", (100,)), ("height", "<f8", (1,))])
    with pytest.raises(ValueError, match="'RB_1' has fields of different length"):
        _ = buffer.row_dtype


@pytest.mark.parametrize("name", ["bool", "complex64", "uint8", ">i2", "S16", "U4", "M8[ns]", "int", "double"])
def test_every_fixed_size_type_is_accepted(project, name):
    buffer = project.load(with_type(project, f"{{x: '{name}'}}")).buffers["RB_1"]
    assert buffer.fields[0].dtype == np.dtype(name)


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [
        ("{1: [chA, flaot32]}", "unknown data type 'flaot32' (did you mean 'float32'?)"),
        ("flaot32", "unknown data type 'flaot32' (did you mean 'float32'?)"),
        ("{x: 'f4,i4'}", "unknown data type 'f4,i4'"),
        ("{x: '(2,)f4'}", "unknown data type '(2,)f4'"),
        ("{x: object}", "data type 'object' has no fixed size: use a number type, or text such as 'S16'"),
        ("{x: S}", "data type 'S' has no fixed size: use a number type, or text such as 'S16'"),
        ("{1: [chA]}", "data_type: expected [name, type] or [name, type, samples], found ['chA']"),
        ("{1: [chA, 4]}", "data_type: expected [name, type] or [name, type, samples], found ['chA', 4]"),
        ("{1: [on, float32]}", "data_type: expected [name, type] or [name, type, samples], found [True, 'float32']"),
        ("{1: ['', float32]}", "data_type: expected [name, type] or [name, type, samples], found ['', 'float32']"),
        (
            "{1: [x, float32, true]}",
            "data_type: expected [name, type] or [name, type, samples], found ['x', 'float32', True]",
        ),
        ("{1: 5}", "data_type: expected [name, type] or [name, type, samples], found 5"),
        ("{1: float32}", "data_type: expected [name, type] or [name, type, samples], found [1, 'float32']"),
        ("{1: [x, float32, 0]}", "field 'x' needs at least 1 sample, found 0"),
        ("{1: [x, float32], 2: [x, int8]}", "the field name 'x' is used twice"),
        ("{}", "data_type: expected fields such as '1: [chA, float32]' or one type, found a mapping"),
        ("[]", "data_type: expected fields such as '1: [chA, float32]' or one type, found a list"),
        ("4", "data_type: expected fields such as '1: [chA, float32]' or one type, found 4"),
    ],
)
def test_a_wrong_type_is_named(project, data_type, expected):
    assert project.problems(with_type(project, data_type)) == [f"setup.yaml:5: {expected}"]


def test_each_wrong_field_is_named_with_its_own_line(project):
    text = with_type(project, "\n        1: [chA, float33]\n        2: [chB, float32]\n        3: [chC]")
    assert project.problems(text) == [
        "setup.yaml:6: unknown data type 'float33' (did you mean 'float32'?)",
        "setup.yaml:8: data_type: expected [name, type] or [name, type, samples], found ['chC']",
    ]


def test_an_event_larger_than_a_record_can_be_is_refused(project):
    text = project.changed("channel_per_slot: 100", "channel_per_slot: 1000000000")
    assert project.problems(text) == ["setup.yaml:4: one event of RB_1 would have 8.0 GB: at most 2.1 GB can be"]


def test_whole_floats_count_as_whole_numbers(project):
    setup = project.load(project.changed("number_of_slots: 8", "number_of_slots: 1e2"))
    assert setup.buffers["RB_1"].slots == 100
    assert isinstance(setup.buffers["RB_1"].slots, int)
