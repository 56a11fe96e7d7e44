"""What the doctor says about scopes: each fault with its remedy, and no scope is opened for it."""

from __future__ import annotations

import sys

import pytest

from mimodaq.client._doctor import as_json, lines
from mimodaq.picoscope import LIBRARY_DIR, probe
from mimodaq.picoscope._usb import where_to_look
from picoscope.rigs import StandIn


@pytest.fixture
def usb(tmp_path):
    """Plug scopes into a USB made of files; gives what `probe` needs."""
    devices, nodes = tmp_path / "devices", tmp_path / "nodes"
    devices.mkdir()

    def plug(serial="FAKE/0001", *, speed="5000", control="on", allowed=True, vendor="0ce9"):
        place = devices / f"1-{len(list(devices.iterdir())) + 1}"
        (place / "power").mkdir(parents=True)
        facts = {"idVendor": vendor, "serial": serial, "product": "PicoScope 3000", "speed": speed}
        for name, value in {**facts, "busnum": "1", "devnum": "7"}.items():
            (place / name).write_text(f"{value}\n")
        (place / "power" / "control").write_text(control)
        if allowed:
            (nodes / "001").mkdir(parents=True, exist_ok=True)
            (nodes / "001" / "007").touch()

    plug.places = (devices, nodes)
    plug.look = lambda: {f"{f.what}: {f.text}": f for f in probe(devices, nodes)}
    return plug


@pytest.fixture
def library(libraries, monkeypatch):
    path = libraries("ps3000a")
    monkeypatch.setenv(LIBRARY_DIR, str(path.parent))
    return StandIn("ps3000a", path)


@pytest.fixture
def no_library(tmp_path, monkeypatch):
    monkeypatch.setenv(LIBRARY_DIR, str(tmp_path))


def one(found, word):
    (match,) = [finding for text, finding in found.items() if word in text]
    return match


def faults(found):
    return [finding for finding in found.values() if finding.is_good is False]


def test_a_scope_in_order(usb, library):
    usb()
    found = usb.look()
    assert not faults(found)
    assert "ps3000a stand-in 1.0" in one(found, "libps3000a").text
    assert "FAKE/0001" in one(found, "libps3000a").text
    assert one(found, "5 Gbit/s").is_good
    assert library.calls("OpenUnit") == 0


def test_nothing_at_all_is_no_fault(usb, no_library):
    found = usb.look()
    assert not faults(found)
    assert "driver: simulate" in one(found, "no scope is plugged in").remedy


def test_a_scope_without_library(usb, no_library):
    usb()
    fault = one(usb.look(), "not installed: libps2000a")
    assert fault.is_good is False
    assert "deploy/picoscope" in fault.remedy


def test_a_scope_that_may_not_be_used(usb, library):
    usb(allowed=False)
    fault = one(usb.look(), "may not use")
    assert fault.is_good is False
    assert "95-mimodaq-pico.rules" in fault.remedy


def test_a_scope_that_another_program_uses(usb, library):
    usb()
    driver = library.driver()
    driver.open(None, 8)
    fault = one(usb.look(), "no library lists it")
    driver.close()
    assert fault.is_good is False
    assert "PicoScope 7" in fault.remedy


@pytest.mark.parametrize(("speed", "word", "is_good"), [("480", "USB 2", None), ("12", "12 Mbit/s only", False)])
def test_a_slow_connection(usb, library, speed, word, is_good):
    usb(speed=speed)
    assert one(usb.look(), word).is_good is is_good


def test_a_scope_that_may_be_suspended(usb, library):
    usb(control="auto")
    fault = one(usb.look(), "suspend")
    assert (fault.is_good, "95-mimodaq-pico.rules" in fault.remedy) == (False, True)


def test_devices_of_others_are_left_alone(usb, library):
    usb(vendor="1d6b")
    assert one(usb.look(), "no scope is plugged in").is_good is None


def test_a_library_that_cannot_be_loaded(usb, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "picosdk.ps2000a", raising=False)  # another test may have loaded it
    (tmp_path / "libps2000a.so").write_text("no library")
    monkeypatch.setenv(LIBRARY_DIR, str(tmp_path))
    fault = one(usb.look(), "loading")
    assert fault.is_good is False
    assert "libps2000a" in fault.remedy


def test_findings_for_people_and_for_programs(usb, no_library):
    usb()
    found = list(usb.look().values())
    text = "\n".join(lines("scopes", found))
    assert "FAULT  libraries: not installed" in text
    assert "-> install the package" in text
    assert {"what", "level", "good", "text", "remedy"} == set(as_json(found)[0])


@pytest.mark.parametrize(
    ("plugged", "words"),
    [
        ({}, "is plugged in: close PicoScope 7"),
        ({"allowed": False}, "may not use"),
        ({"vendor": "1d6b"}, "look at its cable and its supply"),
    ],
)
def test_where_to_look_for_a_scope_that_does_not_answer(usb, plugged, words):
    usb(**plugged)
    assert words in where_to_look(*usb.places)
