"""Finding the vendor's library, and what is said when there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from mimodaq.picoscope import LIBRARY_DIR, LibraryMissingError
from mimodaq.picoscope import _load as load
from mimodaq.picoscope._arrange import find_driver
from mimodaq.picoscope._families import FAMILIES
from mimodaq.picoscope._load import find_file, load_family
from mimodaq.picoscope._settings import read_settings
from picoscope.rigs import StandIn, config


def test_our_package_loads_neither_picosdk_nor_the_files_part():
    code = "import sys, mimodaq.picoscope; print(sorted({'picosdk', 'pyarrow', 'scipy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_setting_is_the_only_place_that_counts(libraries, tmp_path, monkeypatch):
    path = libraries("ps3000a")
    assert find_file("ps3000a", str(path)) == str(path)
    assert find_file("ps3000a", str(path.parent)) == str(path)
    monkeypatch.setenv(LIBRARY_DIR, str(path.parent))
    assert find_file("ps3000a") == str(path)
    assert find_file("ps3000a", str(tmp_path)) is None


def test_the_vendors_folder_needs_no_entry_in_the_systems_cache(libraries, monkeypatch):
    path = libraries("ps3000a")
    monkeypatch.delenv(LIBRARY_DIR, raising=False)
    monkeypatch.setattr(load, "VENDOR_DIR", path.parent)
    assert find_file("ps3000a") == str(path)


def test_the_library_asked_for_is_used_whichever_was_loaded_before(libraries, tmp_path):
    copy = tmp_path / "libps3000a.so"
    shutil.copy(libraries("ps3000a"), copy)
    one, other = StandIn("ps3000a", libraries("ps3000a")), StandIn("ps3000a", copy)
    one.set(units=1)
    other.set(units=2)
    first, second, again = one.driver(), other.driver(), one.driver()
    assert [len(driver.units()) for driver in (first, second, again)] == [1, 2, 1]


def test_a_missing_library_is_one_error_with_the_package_and_a_way_without(tmp_path):
    with pytest.raises(LibraryMissingError) as caught:
        load_family(FAMILIES["ps2000a"], str(tmp_path))
    for word in ("ps2000a", str(tmp_path), "libps2000a", "driver: simulate"):
        assert word in str(caught.value)


def test_auto_takes_the_family_that_has_a_scope(libraries):
    path = libraries("ps3000a")
    StandIn("ps3000a", path)
    driver = find_driver(read_settings(config(family="auto", full_scale=32512, library=str(path.parent))))
    assert driver.family.name == "ps3000a"


def test_auto_without_any_library_or_scope(libraries, tmp_path):
    with pytest.raises(LibraryMissingError, match="no library was found"):
        find_driver(read_settings(config(family="auto", full_scale=32512, library=str(tmp_path))))
    path = libraries("ps3000a")
    StandIn("ps3000a", path).set(units=0)
    with pytest.raises(Exception, match=r"ps3000a: no scope.*mimodaq doctor"):
        find_driver(read_settings(config(family="auto", full_scale=32512, library=str(path.parent))))


def test_a_library_without_a_function_is_too_old(tmp_path, libraries):
    source = tmp_path / "old.c"
    source.write_text("unsigned ps2000aOpenUnit(void) { return 0; }\n")
    (tmp_path / "lib").mkdir()
    target = tmp_path / "lib" / "libps2000a.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    code = (
        "from mimodaq.picoscope._load import load_family\n"
        "from mimodaq.picoscope._families import FAMILIES\n"
        f"load_family(FAMILIES['ps2000a'], {str(target)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "older than picosdk" in done.stderr
    assert "update libps2000a" in done.stderr
