"""A disk that runs full under the record of a run: the run ends, says so, and what it knows is on the terminal."""

import json
import subprocess
from contextlib import suppress

import pytest


@pytest.fixture
def disk(project):
    """A file system of 400 kB."""
    place = project.folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


FILL = """
def fill(event):
    if event["x"][0] == 5:
        with open("disk/filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        print("the disk is full")
"""


def test_a_record_that_cannot_be_written(project, disk):
    project.functions(FILL)
    project.setup("numbers > RB_1 {n: 100}", "fill < RB_1", more="output_directory: disk")
    done = project("run", "--headless", "--json", expect=1)
    result = json.loads(done.stdout)
    assert result["verdict"] == "incomplete"
    assert result["reasons"] == [f"{result['run_dir']}/run.json could not be written: No space left on device"]
    assert result["ledger"]["balanced"]
    assert result["ledger"]["buffers"]["RB_1"]["Fkt_2"]["released"] == 100
    assert "Traceback" not in done.stderr
    (disk / "filler").unlink()
    project("recover", result["run_dir"])
    with open(f"{result['run_dir']}/run.json") as file:
        assert json.load(file)["verdict"] == "interrupted"


def test_a_log_that_cannot_be_written(project, disk):
    project.functions(FILL + "\ndef chatty(event):\n    print('x' * 3000)\n")
    project.setup("numbers > RB_1 {n: 100}", "fill < RB_1", "chatty < RB_1", more="output_directory: disk")
    done = project("run", "--headless", "--json", expect=1)
    assert "writing the log: No space left on device" in done.stderr
    assert json.loads(done.stdout)["ledger"]["buffers"]["RB_1"]["Fkt_3"]["released"] == 100


def test_a_disk_that_is_full_before_the_run(project, disk):
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    project.setup("numbers > RB_1 {n: 100}", "drain < RB_1", more="output_directory: disk")
    done = project("run", "--json", expect=2)
    assert "No space left on device" in json.loads(done.stdout)["error"]
    assert [path.name for path in disk.glob("2*")] == []
