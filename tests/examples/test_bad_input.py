"""Bad input of every kind gets a clear message, a telling exit code, and loses nothing."""

import json
import os
import subprocess

import pandas as pd
import pytest

FUNCTIONS = """
def numbers(*, events: int = 100):
    for i in range(events):
        yield {"x": i}


def keep(event):
    return True


def other(event):
    return {"y": 1.0}
"""

SETUP = """\
output_directory: target
RingBuffer:
  - RB_1: {number_of_slots: 16, data_type: {1: [x, float32]}}
  - RB_2: {number_of_slots: 16, data_type: {1: [x, float32]}}
Functions:
  - Fkt_1: {function: "own.py:numbers", RB_assign: {RB_1: write}}
  - Fkt_2: {function: "own.py:keep", RB_assign: {RB_1: read, RB_2: write}}
  - Fkt_3: {function: to_csv, RB_assign: {RB_2: read}, config: {filename: x}}
"""


@pytest.fixture
def refused(mimodaq, tmp_path):
    """Give a changed setup to `mimodaq run`; it must refuse with exit code 2. Returns what it says."""

    def refuse(old: str, new: str) -> str:
        assert old in SETUP
        (tmp_path / "own.py").write_text(FUNCTIONS)
        (tmp_path / "setup.yaml").write_text(SETUP.replace(old, new))
        done = mimodaq("run", "setup.yaml", "--headless", "--json", expect=2)
        assert json.loads(done.stdout)["error"] in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.glob("target/*/x.csv"))
        return done.stderr

    return refuse


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "RB_1: {number_of_slots: 16",
            "RB_1: {number_of_slot: 16",
            ["setup.yaml:3", "did you mean 'number_of_slots'?"],
        ),
        ("RB_1: {number_of_slots: 16", "RB_1: {number_of_slots: many", ["setup.yaml:3", "number_of_slots"]),
        ("own.py:numbers", "owm.py:numbers", ["setup.yaml:6", "did you mean 'own.py'?"]),
        ("own.py:keep", "own.py:kep", ["setup.yaml:7", "did you mean 'keep'?"]),
        ("function: to_csv", "function: to_cvs", ["setup.yaml:8", "did you mean 'to_csv'?"]),
        ("config: {filename: x}", "config: {filname: x}", ["setup.yaml:8", "did you mean 'filename'?"]),
        ("[x, float32]}}\n  - RB_2", "[x, float23]}}\n  - RB_2", ["setup.yaml:3", "float23"]),
        ("{RB_1: read, RB_2: write}", "{RB_1: raed, RB_2: write}", ["setup.yaml:7", "did you mean 'read'?"]),
        ("{RB_1: read, RB_2: write}", "{RB_1: read, RB_3: write}", ["setup.yaml:7", "RB_3"]),
        ("{RB_1: write}", "{RB_1: write, RB_2: read}", ["RB_1", "RB_2", "setup.yaml"]),
        ("RB_assign: {RB_2: read}, ", "RB_assign: {RB_1: read}, ", ["RB_2", "setup.yaml:4"]),
        ("{RB_1: read, RB_2: write}", "{RB_1: read}", ["RB_2", "setup.yaml:4"]),
    ],
    ids=[
        "unknown key",
        "wrong type",
        "missing file",
        "missing function",
        "missing built-in",
        "unknown option",
        "unknown number type",
        "unknown access",
        "unknown buffer",
        "cycle",
        "buffer without reader",
        "buffer without writer",
    ],
)
def test_a_wrong_setup_is_refused_with_file_line_and_remedy(refused, old, new, said):
    message = refused(old, new)
    for part in said:
        assert part in message


def test_a_filter_that_delivers_other_fields_ends_the_run_with_a_clear_message(mimodaq, tmp_path):
    (tmp_path / "own.py").write_text(FUNCTIONS)
    (tmp_path / "setup.yaml").write_text(SETUP.replace("own.py:keep", "own.py:other"))
    done = mimodaq("run", "setup.yaml", "--headless", "--json", expect=1)
    result = json.loads(done.stdout)
    assert result["verdict"] == "interrupted"
    assert "field 'y'" in done.stderr
    assert "RB_2 takes" in done.stderr
    assert result["ledger"]["balanced"]


def test_a_ring_larger_than_shared_memory_is_refused_with_sizes_and_remedy(mimodaq, tmp_path):
    free = os.statvfs("/dev/shm")
    slots = 2 * free.f_blocks * free.f_frsize // (4 * 1_000_000)
    (tmp_path / "own.py").write_text(FUNCTIONS)
    (tmp_path / "setup.yaml").write_text(
        SETUP.replace("RB_1: {number_of_slots: 16,", f"RB_1: {{number_of_slots: {slots}, channel_per_slot: 1000000,")
    )
    done = mimodaq("run", "setup.yaml", "--headless", expect=2)
    assert "GB" in done.stderr
    assert "number_of_slots" in done.stderr


def test_a_second_run_in_the_same_directory_is_refused_and_the_first_stays(mimodaq, tmp_path):
    (tmp_path / "own.py").write_text(FUNCTIONS)
    (tmp_path / "setup.yaml").write_text(SETUP)
    mimodaq("run", "setup.yaml", "--headless", "--output", "here")
    first = (tmp_path / "here" / "x.csv").read_bytes()
    done = mimodaq("run", "setup.yaml", "--headless", "--output", "here", expect=2)
    assert "holds a run already" in done.stderr
    assert (tmp_path / "here" / "x.csv").read_bytes() == first


def test_a_corrupt_replay_file_names_the_file_and_what_is_wrong(mimodaq, tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1" + bytes(1000) + b"PAR1")
    (tmp_path / "setup.yaml").write_text(
        SETUP.replace(
            '"own.py:numbers", RB_assign: {RB_1: write}',
            "replay, RB_assign: {RB_1: write}, config: {input: broken.parquet}",
        )
        .replace('"own.py:keep"', "drain")
        .replace("{RB_1: read, RB_2: write}", "{RB_1: read}")
        .replace("  - RB_2: {number_of_slots: 16, data_type: {1: [x, float32]}}\n", "")
        .replace("RB_assign: {RB_2: read}", "RB_assign: {RB_1: read}")
    )
    done = mimodaq("run", "setup.yaml", "--headless", "--json", expect=1)
    assert json.loads(done.stdout)["verdict"] == "interrupted"
    assert "broken.parquet" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs root to mount a small file system: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_the_run_cleanly_and_what_was_released_is_in_the_file(mimodaq, tmp_path, small_disk):
    (tmp_path / "own.py").write_text(FUNCTIONS)
    (tmp_path / "setup.yaml").write_text(
        SETUP.replace("RB_assign: {RB_1: write}", "RB_assign: {RB_1: write}, config: {events: 10000000}")
        + "disk: {when_low: warn}\n"  # the run would be stopped before the disk is full
    )
    done = mimodaq("run", "setup.yaml", "--headless", "--json", "--output", str(small_disk / "run"), expect=1)
    result = json.loads(done.stdout)
    assert result["verdict"] == "interrupted"
    assert "No space left" in done.stderr
    assert result["ledger"]["balanced"]
    released = result["ledger"]["buffers"]["RB_2"]["Fkt_3"]["released"]
    assert released > 1000
    mimodaq("recover", str(small_disk / "run"))
    table = pd.read_csv(small_disk / "run" / "x.csv")
    assert set(range(released)) <= set(table["counter"])
