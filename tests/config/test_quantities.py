"""Numbers with units are read exactly, and wrong ones say what would be right."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimodaq.config import QuantityError, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("4 ns", "s", 4e-9),
        ("4 ns", "ns", 4.0),
        ("4ns", "µs", 0.004),
        ("2 µs", "us", 2.0),
        ("2 μs", "ns", 2000.0),
        ("500 mV", "V", 0.5),
        ("-0.48 V", "mV", -480.0),
        ("2 h", "s", 7200.0),
        ("10 min", "s", 600.0),
        ("1.5 d", "h", 36.0),
        ("1.5 GB", "B", 1.5e9),
        ("1 GiB", "MiB", 1024.0),
        ("64 KB", "kB", 64.0),
        ("2.5 kHz", "Hz", 2500.0),
        ("50 ohm", "Ω", 50.0),
        ("662 keV", "MeV", 0.662),
        ("5 %", "", 0.05),
        ("1e-3 s", "ms", 1.0),
        (".5 s", "s", 0.5),
        ("5. s", "s", 5.0),
        (" 7 ", "s", 7.0),
        ("7", "ns", 7.0),
        (7, "ns", 7.0),
        (0.1, "V", 0.1),
        ("+3 V", "V", 3.0),
    ],
)
def test_a_quantity_is_read(text, unit, expected):
    assert parse_quantity(text, unit) == expected


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("soon", "s", "expected a number, for example '2 s', found 'soon'"),
        ("", "s", "expected a number, for example '2 s', found ''"),
        ("1,5 s", "s", "expected a number, for example '2 s', found '1,5 s'"),
        ("1 h 5 min", "s", "expected a number, for example '2 s', found '1 h 5 min'"),
        (True, "s", "expected a number, for example '2 s', found true"),
        ("nan", "s", "expected a number, for example '2 s', found 'nan'"),
        (float("inf"), "V", "expected a number, for example '2 V', found inf"),
        ("x", "", "expected a number, for example '5 %', found 'x'"),
        ("5 mv", "V", "unknown unit 'mv' in '5 mv'; did you mean 'mV'?"),
        ("5 sec", "s", "unknown unit 'sec' in '5 sec'; use for example 's'"),
        ("5 furlongs", "m", "unknown unit 'furlongs' in '5 furlongs'; use for example 'm'"),
        ("5 mV", "ns", "'5 mV' is a voltage, but a time is needed, for example '2 ns'"),
        ("1e400 s", "s", "'1e400 s' is too large"),
        ("1e9999999999999999999 s", "s", "'1e9999999999999999999 s' is too large"),
    ],
)
def test_anything_else_is_explained(text, unit, message):
    with pytest.raises(QuantityError) as caught:
        parse_quantity(text, unit)
    assert str(caught.value) == message


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["s", "ns", "mV", "GiB", ""]))
def test_a_number_in_its_own_unit_is_unchanged(number, unit):
    assert parse_quantity(number, unit) == number
    assert parse_quantity(f"{number!r} {unit}", unit) == number


@given(st.text())
def test_no_text_causes_another_error(text):
    with contextlib.suppress(QuantityError):
        assert math.isfinite(parse_quantity(text, "s"))
