"""Do something in the network of another host of this computer, and find the sockets that listen there."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

_CLONE_NEWNET: Final = 0x40000000
_LISTENS: Final = "0A"
"""State of a socket in /proc/net/tcp, see proc(5)."""
_libc: Final = ctypes.CDLL(None, use_errno=True)


def in_network(namespace: str, work: Callable[[], T]) -> T:
    """The answer of `work`, done by a thread in the network namespace of that file: sockets made there stay there."""
    result: list[T] = []
    failure: list[BaseException] = []

    def there() -> None:
        try:
            with open(namespace) as place:
                if _libc.setns(place.fileno(), _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, f"entering the network of {namespace}: {os.strerror(number)}")
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def in_network_of(pid: int, work: Callable[[], T]) -> T:
    """The same in the network of a process."""
    namespace = f"/proc/{pid}/ns/net"
    return work() if os.path.samefile(namespace, "/proc/self/ns/net") else in_network(namespace, work)


def listening(pid: int) -> list[tuple[str, int]]:
    """Address and port of the TCP sockets (version 4) at which a process listens."""
    inodes = set(_sockets(pid))
    found = []
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == _LISTENS and words[9] in inodes:
            address, port = words[1].split(":")
            number = bytes.fromhex(address)[::-1]  # the kernel prints it in the order of this computer's bytes
            host = ".".join(map(str, number))
            found.append(("127.0.0.1" if host == "0.0.0.0" else host, int(port, 16)))
    return sorted(found)


def _sockets(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    for fd in os.listdir(folder):
        with suppress(FileNotFoundError):
            target = os.readlink(f"{folder}/{fd}")
            if target.startswith("socket:["):
                yield target[8:-1]
