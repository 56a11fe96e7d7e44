"""A setup that has travelled is the same setup, and a bundle can do nothing but be unpacked into its folder."""

import os

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimodaq.config import (
    MAX_BUNDLE_BYTES,
    BundleError,
    SetupErrors,
    load_setup,
    load_unpacked,
    pack_setup,
    unpack_setup,
)
from mimodaq.config._bundle import MAX_BUNDLE_FILES

SETUP = """\
variables: {level: 3}
output_directory: target
RingBuffer:
  - RB_1: {number_of_slots: 16, data_type: {1: [x, float64]}}
Functions:
  - Fkt_main: {config_file: config/common.yaml}
  - Fkt_1:
      function: "modules/mine.py:numbers"
      RB_assign: {RB_1: write}
      config: {level: "${level}", name: "µ $${x}"}
  - Fkt_2:
      function: drain
      RB_assign: {RB_1: read}
"""


@pytest.fixture
def setup_file(tmp_path):
    folder = tmp_path / "experiment"
    (folder / "modules").mkdir(parents=True)
    (folder / "config").mkdir()
    (folder / "modules" / "mine.py").write_text("import helper\n\ndef numbers():\n    yield {'x': 1}\n")
    (folder / "modules" / "helper.py").write_text("# of mine.py\n")
    (folder / "config" / "common.yaml").write_text("numbers: {offset: 7}\ngeneral: {runtime: 5 min}\n")
    path = folder / "demo_setup.yaml"
    path.write_text(SETUP)
    return path


def sent(path, tmp_path, overrides=(), name="sent"):
    raw = pack_setup(path, overrides)
    return unpack_setup(raw, tmp_path / name), load_unpacked(tmp_path / name)


@pytest.mark.parametrize("overrides", [(), ("Fkt_1.config.level=9", "runevents=100", "RB_1.number_of_slots=64")])
def test_a_setup_that_was_sent_is_equal(setup_file, tmp_path, overrides):
    _, there = sent(setup_file, tmp_path, overrides)
    assert there == load_setup(setup_file, overrides)
    assert there.run_prefix == "demo_"
    assert there.functions["Fkt_1"].source_file == tmp_path / "sent" / "modules" / "mine.py"


def test_modules_and_what_lies_beside_them_travel_and_the_originals_too(setup_file, tmp_path):
    path, _ = sent(setup_file, tmp_path)
    folder = path.parent
    for name in ("modules/mine.py", "modules/helper.py"):
        assert (folder / name).read_bytes() == (setup_file.parent / name).read_bytes()
    assert (folder / "as_written" / "demo_setup.yaml").read_text() == SETUP
    assert (folder / "as_written" / "config" / "common.yaml").exists()


def test_places_are_those_in_the_files_of_the_user(setup_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = load_setup("experiment/demo_setup.yaml", ["Fkt_1.config.level=9"])
    _, there = sent("experiment/demo_setup.yaml", tmp_path, ["Fkt_1.config.level=9"])
    for path in (
        ("Fkt_1", "function"),
        ("Fkt_1", "config", "level"),
        ("Fkt_1", "config", "offset"),
        ("RB_1", "data_type"),
    ):
        assert there.where_of(*path) == here.where_of(*path)
    assert str(there.where_of("Fkt_1", "function")) == "experiment/demo_setup.yaml:8"
    assert str(there.where_of("Fkt_1", "config", "level")) == "--set Fkt_1.config.level=9"
    assert there.functions["Fkt_2"].where == here.functions["Fkt_2"].where
    assert there.buffers["RB_1"].where == here.buffers["RB_1"].where


def test_the_same_setup_gives_the_same_bytes_and_another_one_others(setup_file):
    first = pack_setup(setup_file)
    os.utime(setup_file.parent / "modules" / "mine.py", (1, 1))
    assert pack_setup(setup_file) == first
    assert pack_setup(setup_file, ["runevents=1"]) != first
    (setup_file.parent / "modules" / "helper.py").write_text("# changed\n")
    assert pack_setup(setup_file) != first


def test_a_module_from_elsewhere_is_taken_along(setup_file, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "other.py").write_text("def numbers():\n    yield {'x': 1}\n")
    text = SETUP.replace("modules/mine.py:numbers", "../elsewhere/other.py:numbers")
    setup_file.write_text(text)
    _, there = sent(setup_file, tmp_path)
    assert there.functions["Fkt_1"].source_file == tmp_path / "sent" / "elsewhere" / "other.py"
    assert there.functions["Fkt_1"].source_file.is_file()


def test_mistakes_are_found_before_anything_is_packed(setup_file):
    setup_file.write_text(SETUP.replace("RB_assign: {RB_1: read}", "RB_assign: {RB_9: read}"))
    with pytest.raises(SetupErrors, match="there is no buffer 'RB_9'"):
        pack_setup(setup_file)


def test_too_much_is_explained(setup_file):
    (setup_file.parent / "modules" / "data.py").write_bytes(b"#" * (MAX_BUNDLE_BYTES + 1))
    with pytest.raises(BundleError, match=r"at most .* the largest file is modules/data\.py"):
        pack_setup(setup_file)


def test_too_many_files_are_explained(setup_file):
    for number in range(MAX_BUNDLE_FILES):
        (setup_file.parent / "modules" / f"m{number}.py").touch()
    with pytest.raises(BundleError, match="Put the functions into a folder of their own"):
        pack_setup(setup_file)


def test_unpacking_again_changes_nothing(setup_file, tmp_path):
    raw = pack_setup(setup_file)
    unpack_setup(raw, tmp_path / "sent")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sent").rglob("*")}
    unpack_setup(raw, tmp_path / "sent")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "sent").rglob("*")} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["experiment", "sent"]


def table_of(setup_file):
    return msgpack.unpackb(pack_setup(setup_file), strict_map_key=False)


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "a/../../x", "a//b", "./x", "", ".", "..", "a\0b", "a\nb", "a\\b", ".bundle", "x" * 501, "a/"],
)
def test_a_file_that_would_lie_elsewhere_is_refused(setup_file, tmp_path, name):
    table = table_of(setup_file)
    table["files"][name] = b"x"
    with pytest.raises(BundleError, match="may not hold a file"):
        unpack_setup(msgpack.packb(table), tmp_path / "sent")
    assert not (tmp_path / "sent").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(format=2),
        lambda t: t.update(setup="none.yaml"),
        lambda t: t.pop("files"),
        lambda t: t.update(files=[]),
        lambda t: t["files"].update(a="text"),
        lambda t: t["files"].update({7: b"x"}),
        lambda t: t.update(places=[["a"]]),
        lambda t: t.update(places=[[[b"x"], "f", 1]]),
        lambda t: t["files"].update({f"f{i}": b"" for i in range(MAX_BUNDLE_FILES)}),
        lambda t: t["files"].update({"modules": b"a file where a folder must be"}),
    ],
)
def test_a_damaged_bundle_is_refused_and_leaves_nothing(setup_file, tmp_path, change):
    table = table_of(setup_file)
    change(table)
    with pytest.raises(BundleError):
        unpack_setup(msgpack.packb(table), tmp_path / "sent")
    assert [path.name for path in tmp_path.iterdir()] == ["experiment"]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_no_setup(tmp_path_factory, raw):
    with pytest.raises(BundleError):
        unpack_setup(raw, tmp_path_factory.getbasetemp() / "never")
    assert not (tmp_path_factory.getbasetemp() / "never").exists()


def test_a_folder_that_was_not_unpacked_is_refused(tmp_path):
    with pytest.raises(BundleError, match="holds no setup that was sent here"):
        load_unpacked(tmp_path)


def test_a_file_name_that_is_no_text_is_explained(setup_file):
    odd = setup_file.rename(setup_file.with_name(os.fsdecode(b"\xff_setup.yaml")))
    with pytest.raises(BundleError, match="bytes that are no characters: rename it"):
        pack_setup(odd)
