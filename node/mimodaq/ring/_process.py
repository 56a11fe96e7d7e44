"""Who a process is: its id alone is reused, so id, start time and namespace go together."""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple


class Identity(NamedTuple):
    """A process of this boot of this machine."""

    pid: int
    start: int
    """Start time in clock ticks since boot, field 22 of /proc/PID/stat (proc(5))."""
    namespace: int
    """Inode of the pid namespace: an id from another namespace cannot be judged from here."""


@cache
def boot_id() -> str:
    """The kernel's random id of this boot, 36 characters."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time of a process, None if there is none."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)  # a file object would make five more system calls
        try:
            fields = os.read(fd, 4096).rsplit(b")", 1)[1].split()
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0].decode(), int(fields[19])


@cache
def namespace() -> int:
    """Inode of the pid namespace of this process, which stays the same for its life."""
    return os.stat("/proc/self/ns/pid").st_ino


@cache
def myself() -> Identity:
    """The identity of the calling process."""
    pid = os.getpid()
    found = _stat(pid)
    return Identity(pid, found[1] if found else 0, namespace())


os.register_at_fork(after_in_child=namespace.cache_clear)
os.register_at_fork(after_in_child=myself.cache_clear)


def is_alive(who: Identity) -> bool:
    """Whether that very process still runs. A zombie is dead; a stopped process is alive.

    One of another pid namespace counts as alive: it cannot be seen from here, and nothing is taken away on a guess.
    """
    if who.namespace != namespace() or who == myself():
        return True
    found = _stat(who.pid)
    return found is not None and found[1] == who.start and found[0] not in "ZX"
