"""The block `disk:`: what is done before a disk is full."""

from pathlib import Path

import pytest

from mimodaq.config import DiskSpec, SetupErrors, dump_text, load_setup

SETUP = """\
disk: {disk}
{more}
RingBuffer:
  - RB_1: {{number_of_slots: 4, data_type: {{1: [x, float64]}}}}
Functions:
  - Fkt_1: {{function: simulate, RB_assign: {{RB_1: write}}}}
  - Fkt_2: {{function: drain, RB_assign: {{RB_1: read}}}}
"""


@pytest.fixture
def load(tmp_path):
    def load(disk, more="", overrides=()):
        path = tmp_path / "setup.yaml"
        path.write_text(SETUP.format(disk=disk, more=more))
        return load_setup(path, overrides)

    return load


def test_what_is_not_said_has_a_default(load):
    assert load("").disk == DiskSpec("stop", 3600.0, 100_000_000, ())
    assert load("{warn: 10 min}").disk == DiskSpec("stop", 600.0, 100_000_000, ())


def test_sizes_times_and_folders(load, tmp_path):
    disk = load("{when_low: pause, warn: 2 h, reserve: 1.5 GB, spill: [more, /data2, ~/x]}").disk
    assert disk == DiskSpec("pause", 7200.0, 1_500_000_000, (tmp_path / "more", Path("/data2"), Path.home() / "x"))
    assert load("{spill: more}").disk.spill == (tmp_path / "more",)


def test_it_is_written_back_and_can_be_changed_on_the_command_line(load, tmp_path):
    setup = load("{spill: more}", overrides=["disk.reserve=5 MB", "disk.when_low=warn"])
    assert (setup.disk.reserve_bytes, setup.disk.when_low) == (5_000_000, "warn")
    again = tmp_path / "elsewhere" / "setup.yaml"
    again.parent.mkdir()
    again.write_text(dump_text(setup.resolved()))
    assert load_setup(again) == setup


@pytest.mark.parametrize(
    ("disk", "problem"),
    [
        ("{resreve: 1 GB}", "setup.yaml:1: unknown key 'resreve' in disk (did you mean 'reserve'?)"),
        (
            "{when_low: stopp}",
            "setup.yaml:1: disk.when_low: one of stop, pause, warn, found 'stopp' (did you mean 'stop'?)",
        ),
        ("{reserve: -1}", "setup.yaml:1: disk.reserve: must not be negative, found -1"),
        ("{reserve: 1 h}", "setup.yaml:1: disk.reserve: '1 h' is a time, but a size is needed, for example '2 B'"),
        ("{warn: soon}", "setup.yaml:1: disk.warn: expected a number, for example '2 s', found 'soon'"),
        ("[1]", "setup.yaml:1: disk: expected a mapping of 'key: value' lines, found a list"),
    ],
)
def test_mistakes_are_named_with_their_line(load, disk, problem, tmp_path):
    with pytest.raises(SetupErrors) as caught:
        load(disk)
    assert str(caught.value).removeprefix(f"{tmp_path}/") == problem


def test_folders_of_other_hosts_need_their_whole_path(load, tmp_path):
    with pytest.raises(SetupErrors, match=r"setup.yaml:1: disk.spill: 'more' is to be found on every host"):
        load("{spill: [/data2, more]}", "hosts: {daq1: {address: 10.0.0.1}}")
