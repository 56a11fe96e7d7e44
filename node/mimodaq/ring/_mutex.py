"""A lock and a wait that survive the death of any process.

The lock is a process-shared, robust ``pthread_mutex`` inside the segment: when its owner is killed the
kernel hands it to the next one who asks, together with the news (EOWNERDEAD). Waiting is done on 32-bit
futex words. Everything goes through ctypes on the C library, nothing is compiled.

Two traps decide how the calls are made (measured and met, see docs/adr/0002):

* a C call that blocks while it keeps the GIL deadlocks against another thread of the same process that
  holds the mutex. So try first with the GIL kept (cheap), then block with the GIL released;
* an exception raised by a signal handler (Ctrl-C) can strike between any two calls. The lock word holds
  the thread id of its owner (the kernel's robust-futex format demands it), so whether *we* hold the lock
  is read from the lock itself, never remembered in a Python variable.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import time
from threading import get_native_id
from typing import Final

from mimodaq.ring._errors import LockStalled, RingError

MUTEX_BYTES: Final = 64
"""Room for a pthread_mutex_t (40 bytes on x86-64, 48 on aarch64)."""

_TID_MASK: Final = 0x3FFFFFFF
_EOWNERDEAD: Final = errno.EOWNERDEAD
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
_releasing_gil = ctypes.CDLL(None, use_errno=True)

_trylock = _keeping_gil.pthread_mutex_trylock
_unlock = _keeping_gil.pthread_mutex_unlock
_consistent = _keeping_gil.pthread_mutex_consistent
for _function in (_trylock, _unlock, _consistent):
    _function.argtypes = [ctypes.c_void_p]
    _function.restype = ctypes.c_int

_clocklock = _releasing_gil.pthread_mutex_clocklock
_clocklock.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Timespec)]
_clocklock.restype = ctypes.c_int

_syscall = _releasing_gil.syscall
_syscall.restype = ctypes.c_long


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
                raise RingError(
                    f"making the lock of a ring: {os.strerror(code)}; mimodaq needs glibc on Linux"
                )

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
            return True  # an exception struck in the few instructions before the release
        for _ in range(_SPINS):
            if code != errno.EBUSY:
                break
            code = _trylock(self._address)
        if code == errno.EBUSY:
            code = self._block()
        if code == _EOWNERDEAD:
            _consistent(self._address)
            return True
        if code:
            raise RingError(f"taking the lock of a ring: {os.strerror(code)}")
        return False

    def _block(self) -> int:
        give_up = time.monotonic() + _STALL_S
        while True:
            code = int(
                _clocklock(self._address, _CLOCK_MONOTONIC, ctypes.byref(_timespec(time.monotonic() + 0.5)))
            )
            if code not in (errno.ETIMEDOUT, errno.EINTR):
                return code
            if time.monotonic() > give_up:
                owner = self._word[0] & _TID_MASK
                raise LockStalled(
                    f"the lock of the ring has been held for {_STALL_S:.0f} s by thread {owner}, which does not run "
                    f"(stopped, or in a debugger?). Let it go on (kill -CONT {owner}) or end it (kill -KILL {owner})"
                )

    def release(self) -> None:
        """Give the lock back."""
        _unlock(self._address)


def futex_wait(address: int, expected: int, timeout_s: float, mask: int) -> None:
    """Sleep until woken under one of the bits of `mask`, at most `timeout_s`; not at all if the word changed."""
    deadline = _timespec(time.monotonic() + timeout_s)
    _syscall(
        _SYS_FUTEX,
        ctypes.c_void_p(address),
        _FUTEX_WAIT_BITSET,
        ctypes.c_uint32(expected & 0xFFFFFFFF),
        ctypes.byref(deadline),
        None,
        ctypes.c_uint32(mask),
    )


def futex_wake(address: int, count: int, mask: int) -> None:
    """Wake at most `count` sleepers who wait under one of the bits of `mask`."""
    _syscall(
        _SYS_FUTEX, ctypes.c_void_p(address), _FUTEX_WAKE_BITSET, count, None, None, ctypes.c_uint32(mask)
    )
