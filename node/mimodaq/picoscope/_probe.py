"""What `mimodaq doctor` finds out about scopes: libraries, versions, units, permissions, USB. Opens no scope."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mimodaq.picoscope._families import FAMILIES
from mimodaq.picoscope._load import INSTALL, LibraryMissingError, find_file
from mimodaq.picoscope._sdk6000 import open_driver
from mimodaq.picoscope._status import ScopeError, ScopeLostError
from mimodaq.picoscope._usb import RULE, USB_DEVICES, USB_NODES, UsbScope, permission, usb_scopes

_USB2_MBIT: Final = 480


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_good: bool | None
    """None: worth knowing, no fault."""
    text: str
    remedy: str = ""


def probe(devices: Path = USB_DEVICES, nodes: Path = USB_NODES) -> list[Finding]:
    """Look at everything a readout needs; `devices` and `nodes` are where the system tells about the USB."""
    found = [_wrapper()]
    serials: set[str] = set()
    has_library = False
    missing = []
    for family in FAMILIES.values():
        file = find_file(family.name)
        if file is None:
            missing.append(family.package)
            continue
        has_library = True
        found.append(_library(family.name, file, serials))
    plugged = list(usb_scopes(devices, nodes))
    if missing:
        found.append(_missing(missing, is_needed=bool(plugged) and not has_library))
    for scope in plugged:
        found += _usb(scope, serials, has_library=has_library)
    if not plugged:
        found.append(Finding("USB", None, "no scope is plugged in", "without one, setups run with `driver: simulate`"))
    return found


def _wrapper() -> Finding:
    try:
        return Finding("picosdk", True, f"version {importlib.metadata.version('picosdk')}")
    except importlib.metadata.PackageNotFoundError:
        return Finding("picosdk", False, "the Python package is not installed", "pip install picosdk")


def _library(name: str, file: str, serials: set[str]) -> Finding:
    what = f"lib{name}"
    try:
        driver = open_driver(FAMILIES[name], file if os.sep in file else None)
        units = driver.units()
    except LibraryMissingError as error:
        return Finding(what, False, str(error), f"install or update {what}; {INSTALL}")
    except (ScopeError, ScopeLostError) as error:
        return Finding(what, False, f"asking for scopes: {error}", "unplug the scope and plug it in again")
    serials.update(units)
    free = f"free scopes: {', '.join(units)}" if units else "no free scope"
    return Finding(what, True, f"{driver.driver_version() or 'version unknown'} in {file}, {free}")


def _missing(packages: list[str], *, is_needed: bool) -> Finding:
    return Finding(
        "libraries",
        False if is_needed else None,
        f"not installed: {', '.join(packages)}",
        f"install the package of your scope's family; {INSTALL}",
    )


def _usb(scope: UsbScope, serials: set[str], *, has_library: bool) -> Iterator[Finding]:
    what = f"USB {scope.serial or scope.product}"
    if not scope.may_be_used:
        yield Finding(what, False, f"{scope.product}: this user may not use {scope.node}", permission())
        return
    yield Finding(what, True, f"{scope.product}: {scope.node} may be used")
    if 0 < scope.speed_mbit < _USB2_MBIT:
        text = f"connected at {scope.speed_mbit} Mbit/s only"
        yield Finding(what, False, text, "use another cable or port, without a hub")
    elif scope.speed_mbit == _USB2_MBIT:
        text = "connected as USB 2: models with USB 3 transfer about ten times faster on a blue port"
        yield Finding(what, None, text)
    elif scope.speed_mbit:
        yield Finding(what, True, f"connected with {scope.speed_mbit / 1000:g} Gbit/s")
    if not scope.is_kept_awake:
        yield Finding(what, False, "the system may suspend it when it is idle", f"install {RULE}")
    if has_library and scope.serial and scope.serial not in serials:
        yield Finding(
            what,
            False,
            "no library lists it as free",
            "close PicoScope 7 and other programs that use it; or the library of its family is missing",
        )
