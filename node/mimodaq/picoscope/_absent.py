"""What is said when the scope that is meant is not there; the same before the run and in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mimodaq.picoscope._families import Family
from mimodaq.picoscope._status import NoScopeError
from mimodaq.picoscope._usb import where_to_look

OR_NONE: Final = "Or try the setup without a scope: driver: simulate"


def nobody(family: Family, serial: str | None, free: Sequence[str]) -> str:
    """No scope answered, or not the one with this serial number: what was found, and where to look."""
    wanted = f" with serial number {serial}" if serial else ""
    advice = "Correct `serial`" if free else where_to_look()
    return (
        f"opening a scope of family {family.name}{wanted}: none answered (library found; free scopes: "
        f"{', '.join(free) or 'none'}). {advice}; `mimodaq doctor` looks at cable and permissions. {OR_NONE}"
    )


def refuse_to_guess(family: Family, free: Sequence[str]) -> None:
    """Raise NoScopeError if it is not clear which of several scopes is meant."""
    if len(free) > 1:
        raise NoScopeError(
            f"opening a scope of family {family.name}: {len(free)} are plugged in ({', '.join(free)}). "
            "Say which: `serial: ...`"
        )
