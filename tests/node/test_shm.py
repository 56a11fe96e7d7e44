"""A full /dev/shm is said once, and once more when there is room again."""

import subprocess
from contextlib import suppress

import pytest

from mimodaq.node._shm import LEAST_BYTES, ShmWatch


@pytest.fixture
def small(tmp_path):
    """A file system in memory that is a little larger than what counts as full."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={4 * LEAST_BYTES}", "tmpfs", str(tmp_path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_what_is_full_is_said_once(small):
    watch = ShmWatch(str(small))
    assert watch.look() is None
    with (small / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
    level, text = watch.look()
    assert level == "error"
    assert f"{small} is full" in text
    assert watch.look() is None
    (small / "filler").unlink()
    assert watch.look() == ("info", f"there is room in {small} again")
    assert watch.look() is None
