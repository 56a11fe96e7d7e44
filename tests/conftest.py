"""For all tests: whatever a test starts is gone when it ends, processes and shared memory alike."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mimodaq.ring import SegmentError, left_overs
from mimodaq.ring import _segment as segment_files
from mimodaq.ring._process import myself

_PR_SET_CHILD_SUBREAPER = 36
_GRACE_S = 2.0
_HELPERS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")
"""Processes that multiprocessing starts once and keeps until the interpreter ends."""

_LONG = {"nodes", "docs", "link"}
"""Folders of tests that take minutes."""

_IS_ONE_OF_SEVERAL = "PYTEST_XDIST_WORKER" in os.environ
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 0x40000
_libc = ctypes.CDLL(None)


def _take_shared_memory_of_its_own() -> bool:
    """Mount a /dev/shm that only this process and its children see; whether that was possible, which takes root.

    Every run removes what killed runs of its user have left there: of tests beside this one, too.
    """
    return (
        _libc.unshare(_CLONE_NEWNS) == 0
        and _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) == 0
        and _libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"mode=1777") == 0
    )


_IS_ALONE = _take_shared_memory_of_its_own() if _IS_ONE_OF_SEVERAL else "CI" in os.environ
"""Nobody else uses this shared memory: every left-over is ours."""

_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of our children come to us and are seen
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has started us in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C is tested on our children, who inherit this


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that take hours, unless they are asked for with ``-m soak``; begin with the long ones."""
    if "soak" not in config.option.markexpr:
        soak = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=soak)
        items[:] = [item for item in items if item not in soak]
    items.sort(key=lambda item: _LONG.isdisjoint(item.path.parts))  # so that no process is alone at the end


def _children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that ended meanwhile
            found.update(int(pid) for pid in (task / "children").read_text().split())
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip()
    except OSError:
        return b""


def _has_ended(pid: int, grace_s: float) -> bool:
    """Wait for a child; false if it still runs after `grace_s`."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if not select.select([descriptor], [], [], grace_s)[0]:
            return False
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        return True
    finally:
        os.close(descriptor)


def _end_children(before: set[int]) -> list[str]:
    """Kill what still runs; returns the command lines."""
    left = []
    for pid in sorted(_children() - before):
        command = _command(pid)
        if any(helper in command for helper in _HELPERS) or _has_ended(pid, _GRACE_S):
            continue
        os.kill(pid, signal.SIGKILL)
        _has_ended(pid, _GRACE_S)
        left.append(f"process {pid}: {command.decode(errors='replace')}")
    return left


def _segments() -> set[Path]:
    return set(segment_files.SHM.glob("mimodaq.*"))


def _is_ours(path: Path) -> bool:
    """Whether a new segment is this test's, not that of another program running on this computer."""
    with suppress(SegmentError):
        if myself() in segment_files.living_users(path):
            return True
    return f"-{os.getpid()}." in path.name or (_IS_ALONE and path in left_overs())


def _remove_segments(before: set[Path]) -> list[str]:
    """Remove the segments that this test has left; returns their names."""
    left = sorted(path for path in _segments() - before if _is_ours(path))
    for path in left:
        path.unlink(missing_ok=True)
    return [f"segment {path}" for path in left]


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Fail a test that leaves a ring segment or a running child process, and clean up after it."""
    segments, children = _segments(), _children()
    yield
    left = _end_children(children) + _remove_segments(segments)
    if left:
        pytest.fail(f"the test has left behind: {', '.join(left)}", pytrace=False)
