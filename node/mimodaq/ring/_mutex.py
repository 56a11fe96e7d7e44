"""A lock and a wait that survive the death of any process.

The lock is a process-shared, robust ``pthread_mutex`` inside the segment: when its owner is killed the
kernel hands it to the next one who asks, together with the news (EOWNERDEAD). Waiting is done on 32-bit
futex words. Everything goes through ctypes on the C library, nothing is compiled.

Two traps decide how the calls are made (measured and met, see docs/adr/0002):

* a C call that blocks while it keeps the GIL deadlocks against another thread of the same process that
  holds the mutex. So try first with the GIL kept (cheap), then block with the GIL released;
* an exception raised by a signal handler (Ctrl-C) can strike at any call. The lock word holds
  the thread id of its owner (the kernel's robust-futex format demands it), so whether *we* hold the lock
  is read from the lock itself, never remembered in a Python variable. Thread ids are unique within one pid
  namespace only: all users of a lock must live in the same one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import time
from threading import Lock, get_native_id
from typing import Final

from mimodaq.ring._errors import LockStalled, RingError

WEAKLY_ORDERED: Final = platform.machine() not in ("x86_64", "i686")
"""Whether this processor may show stores to others in another order than that of the program."""

_TID_MASK: Final = 0x3FFFFFFF
_EOWNERDEAD: Final = errno.EOWNERDEAD
_PATIENCE_S: Final = 0.5
_STALL_S: Final = 30.0
_SPINS: Final = 150

_FUTEX_WAIT_BITSET: Final = 9
_FUTEX_WAKE_BITSET: Final = 10
_CLOCK_MONOTONIC: Final = 1
_SYS_FUTEX: Final = {
    "x86_64": 202,
    "aarch64": 98,
    "riscv64": 98,
    "armv7l": 240,
    "armv6l": 240,
    "i686": 240,
}.get(platform.machine(), 0)


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


_keeping_gil = ctypes.PyDLL(None)
_releasing_gil = ctypes.CDLL(None)

_trylock = _keeping_gil.pthread_mutex_trylock
_unlock = _keeping_gil.pthread_mutex_unlock
_consistent = _keeping_gil.pthread_mutex_consistent
for _function in (_trylock, _unlock, _consistent):
    _function.argtypes = [ctypes.c_void_p]
    _function.restype = ctypes.c_int

_clocklock = _releasing_gil.pthread_mutex_clocklock
_clocklock.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Timespec)]
_clocklock.restype = ctypes.c_int

_futex = _releasing_gil.syscall  # number, address, operation, value, deadline, second address, mask
_futex.argtypes = [
    ctypes.c_long,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint32,
    ctypes.POINTER(_Timespec),
    ctypes.c_void_p,
    ctypes.c_uint32,
]
_futex.restype = ctypes.c_long


def _timespec(at_s: float) -> _Timespec:
    whole = int(at_s)
    return _Timespec(whole, int((at_s - whole) * 1e9))


class Mutex:
    """A robust mutex at `address`; not re-entrant.

    `word` is a memoryview of the mutex as 32-bit words: word 0 is the futex word of glibc.
    """

    __slots__ = ("_address", "_word")

    def __init__(self, address: int, word: memoryview) -> None:
        self._address = address
        self._word = word

    @staticmethod
    def initialise(address: int) -> None:
        """Make the memory at `address` an unlocked robust process-shared mutex."""
        attributes = ctypes.create_string_buffer(64)
        for call, arguments in (
            (_keeping_gil.pthread_mutexattr_init, (attributes,)),
            (_keeping_gil.pthread_mutexattr_setpshared, (attributes, 1)),
            (_keeping_gil.pthread_mutexattr_setrobust, (attributes, 1)),
            (_keeping_gil.pthread_mutex_init, (ctypes.c_void_p(address), attributes)),
        ):
            code = call(*arguments)
            if code:
                raise RingError(f"making the lock of a ring: {os.strerror(code)}; mimodaq needs glibc on Linux")

    def is_mine(self) -> bool:
        """Whether the calling thread holds the lock."""
        return (self._word[0] & _TID_MASK) == get_native_id()

    def acquire(self) -> bool:
        """Take the lock; true if its previous owner died (or was interrupted) inside a change.

        Raises LockStalled after 30 s: the owner lives but does not run (stopped, or in a debugger).
        """
        code = _trylock(self._address)
        return False if code == 0 else self._acquire_slowly(code)

    def _acquire_slowly(self, code: int) -> bool:
        if self.is_mine() and code != _EOWNERDEAD:
            self.mend()
            return True  # an exception struck in the few instructions before the release
        for _ in range(_SPINS):
            if code != errno.EBUSY:
                break
            code = _trylock(self._address)
        if code == errno.EBUSY:
            code = self._block()
        if code == _EOWNERDEAD:
            self.mend()
            return True
        if code:
            raise RingError(f"taking the lock of a ring: {os.strerror(code)}")
        return False

    def _block(self) -> int:
        for _ in range(int(_STALL_S / _PATIENCE_S)):  # tries, not time: this process may have been stopped itself
            until = _timespec(time.monotonic() + _PATIENCE_S)
            code = int(_clocklock(self._address, _CLOCK_MONOTONIC, ctypes.byref(until)))
            if code != errno.ETIMEDOUT:
                return code
        owner = self._word[0] & _TID_MASK
        raise LockStalled(
            f"the lock of the ring has been held for {_STALL_S:.0f} s by thread {owner}, which does not run "
            f"(stopped, or in a debugger?). Let it go on (kill -CONT {owner}) or end it (kill -KILL {owner})"
        )

    def mend(self) -> None:
        """Declare the state protected by the lock whole; a lock inherited from the dead can be used for ever only then.

        Does nothing to a lock that was not inherited. The caller must hold the lock.
        """
        _consistent(self._address)

    def release(self) -> None:
        """Give the lock back."""
        _unlock(self._address)


class Fence:
    """Keeps the loads and stores before it before those behind it, where the processor may exchange them.

    The words that are changed without the lock are plain stores. x86 shows them to other processors in program
    order; ARM and RISC-V need a barrier, and the only ones Python offers are inside its locks: the release of the first
    of two acquire-release pairs and the acquire of the second keep their order, and with them all around.
    """

    def __init__(self) -> None:
        self._lock = Lock()

    def __call__(self) -> None:
        """Let nothing pass."""
        if WEAKLY_ORDERED:
            with self._lock:
                pass
            with self._lock:
                pass


def futex_wait(address: int, expected: int, timeout_s: float, mask: int) -> None:
    """Sleep until woken under one of the bits of `mask`, at most `timeout_s`; not at all if the word changed."""
    deadline = _timespec(time.monotonic() + timeout_s)
    _futex(_SYS_FUTEX, address, _FUTEX_WAIT_BITSET, expected, deadline, None, mask)


def futex_wake(address: int, count: int, mask: int) -> None:
    """Wake at most `count` sleepers who wait under one of the bits of `mask`."""
    _futex(_SYS_FUTEX, address, _FUTEX_WAKE_BITSET, count, None, None, mask)
