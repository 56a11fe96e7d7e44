"""The status codes of the vendor's drivers, and the errors they become."""

from __future__ import annotations

from typing import Final

OK: Final = 0
NOT_FOUND: Final = 0x3
NOT_RESPONDING: Final = 0x7
INVALID_HANDLE: Final = 0xC
INVALID_TIMEBASE: Final = 0xE
INVALID_CHANNEL: Final = 0x10
NO_GENERATOR: Final = 0x13
TOO_MANY_SEGMENTS: Final = 0x1E
SAMPLING: Final = 0x24
NO_SAMPLES: Final = 0x25
BUSY: Final = 0x27
NOT_USED: Final = 0x3F
NOT_SUPPORTED: Final = 0x40
NOT_CONNECTED: Final = 0x4A
POWER_FAILED: Final = 0x4C
NO_SUPPLY: Final = 0x11A
CAPTURING: Final = 0x11D
NOT_USB3: Final = 0x11E
STAMPS_RESET: Final = 0x01000000
"""In the trigger information of the first capture: its counter begins afresh."""

LOST: Final = frozenset({NOT_RESPONDING, INVALID_HANDLE, NOT_CONNECTED, POWER_FAILED})
"""The scope is gone: unplugged, without power, or hung."""
POWER_QUESTIONS: Final = frozenset({NO_SUPPLY, NOT_USB3})
"""Asked when a scope is opened; answered by accepting that supply."""
NOT_NOW: Final = frozenset({SAMPLING, BUSY, CAPTURING})
"""The call must wait until the capture is complete."""
NO_SEGMENTS: Final = frozenset({TOO_MANY_SEGMENTS, NOT_USED, NOT_SUPPORTED})
"""A model without segmented memory: block mode is left."""

_MEANINGS: Final = {
    0x1: ("too many scopes are open", "close other programs that use PicoScopes"),
    NOT_FOUND: ("no scope answered", "plug it in; close PicoScope 7 and other programs that may hold it"),
    NOT_RESPONDING: ("the scope does not respond", "unplug it and plug it in again; try another cable or port"),
    INVALID_HANDLE: ("the scope is no longer open", "it was unplugged: plug it in again"),
    INVALID_TIMEBASE: ("this sampling is not available", "sample slower, or switch channels off"),
    0xF: ("this input range is not available on the model", "choose another `range`"),
    INVALID_CHANNEL: ("the model has no such channel", "correct `channels`"),
    NO_GENERATOR: ("the model has no signal generator", "remove `signal_generator`"),
    0x1C: ("the scope's buffer has stalled", "use another USB port, without a hub"),
    0x1D: ("too many samples", "lower `samples`, or `captures` of the batch"),
    TOO_MANY_SEGMENTS: ("too many captures for the memory", "lower `captures` of the batch"),
    SAMPLING: ("the scope is sampling", "this is a fault of the readout, please report it"),
    NO_SAMPLES: ("no capture was made yet", "this is a fault of the readout, please report it"),
    0x26: ("a capture that does not exist was asked for", "this is a fault of the readout, please report it"),
    BUSY: ("the driver is busy", "try again"),
    0x2D: ("the driver has no memory", "lower `captures` of the batch"),
    0x3A: ("the capture was cancelled", "start again"),
    0x3D: ("the capture was interrupted", "start again"),
    NOT_USED: ("the model does not know this call", "leave the option out"),
    NOT_SUPPORTED: ("the model does not support this", "leave the option out"),
    0x42: ("fewer memory segments than captures", "lower `captures` of the batch"),
    0x46: ("no buffer was registered", "this is a fault of the readout, please report it"),
    NOT_CONNECTED: ("the scope was unplugged", "plug it in again"),
    POWER_FAILED: ("the scope has lost its power", "use a USB port of the computer itself, or the scope's supply"),
    NO_SUPPLY: ("the external supply is not connected", "connect it to have all channels"),
    0x11B: ("the external supply was disconnected", "connect it again"),
    CAPTURING: ("a capture is going on", "this is a fault of the readout, please report it"),
    NOT_USB3: ("the scope needs USB 3 for full speed and power", "use a blue port, without a hub"),
    0x10000000: ("the scope's watchdog has reset it", "unplug it and plug it in again"),
}


def meaning(status: int) -> str:
    """What a status says, with its number; any number has an answer."""
    return f"{_MEANINGS[status][0]} (0x{status:X})" if status in _MEANINGS else f"the driver answered 0x{status:X}"


def remedy(status: int) -> str:
    """What to do about a status."""
    return _MEANINGS[status][1] if status in _MEANINGS else "look this status up in the vendor's programmer's guide"


class ScopeError(Exception):
    """The scope cannot be used as asked; trying the same again would not help."""

    is_hopeless = True
    """For the worker's runtime: do not start this function again."""


class NoScopeError(ScopeError):
    """No scope answered, or not the one with this serial number."""


class StatusError(ScopeError):
    """A call of the driver was refused."""

    def __init__(self, call: str, status: int) -> None:
        super().__init__(f"{call}: {meaning(status)}. Remedy: {remedy(status)}.")
        self.call = call
        self.status = status


class ScopeLostError(Exception):
    """The scope was unplugged, lost its power or hangs; it may come back."""

    def __init__(self, call: str, status: int) -> None:
        super().__init__(f"{call}: {meaning(status)}")
        self.status = status


def check(call: str, status: int) -> None:
    """Raise what a status means: nothing for OK, ScopeLostError for a scope that is gone, else StatusError."""
    if status:
        raise ScopeLostError(call, status) if status in LOST else StatusError(call, status)
