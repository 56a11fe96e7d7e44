"""The vendor's devices on the USB, as the system tells about them. Opens none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VENDOR_ID: Final = "0ce9"
USB_DEVICES: Final = Path("/sys/bus/usb/devices")
USB_NODES: Final = Path("/dev/bus/usb")
RULE: Final = "deploy/picoscope/95-mimodaq-pico.rules"


@dataclass(frozen=True, slots=True)
class UsbScope:
    """A device of the vendor on the USB."""

    product: str
    serial: str
    speed_mbit: int
    """480 is USB 2, 5000 and more is USB 3."""
    node: Path
    """The device file that must be writable."""
    is_kept_awake: bool
    """Whether the system is told not to suspend it."""

    @property
    def may_be_used(self) -> bool:
        """Whether this user has the permission."""
        return os.access(self.node, os.R_OK | os.W_OK)


def usb_scopes(devices: Path = USB_DEVICES, nodes: Path = USB_NODES) -> Iterator[UsbScope]:
    """The vendor's devices on the USB."""
    for place in sorted(devices.iterdir()) if devices.is_dir() else ():
        if _read(place / "idVendor") != VENDOR_ID:
            continue
        bus, device = _read(place / "busnum"), _read(place / "devnum")
        speed = _read(place / "speed")
        yield UsbScope(
            product=_read(place / "product") or "PicoScope",
            serial=_read(place / "serial"),
            speed_mbit=int(float(speed)) if speed.replace(".", "").isdigit() else 0,
            node=nodes / f"{int(bus or 0):03}" / f"{int(device or 0):03}",
            is_kept_awake=_read(place / "power" / "control") != "auto",
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def where_to_look(devices: Path = USB_DEVICES, nodes: Path = USB_NODES) -> str:
    """What to do when a library finds no free scope: a matter of the cable, the permissions, or another program."""
    plugged = list(usb_scopes(devices, nodes))
    if not plugged:
        return "No PicoScope is on the USB: plug it in, look at its cable and its supply"
    refused = [scope for scope in plugged if not scope.may_be_used]
    if refused:
        return f"{refused[0].product} is plugged in, but this user may not use {refused[0].node}: {permission()}"
    return f"{plugged[0].product} is plugged in: close PicoScope 7 and what else may hold it, or correct `family`"


def permission() -> str:
    """What to do about a device that this user may not use."""
    return f"install {RULE}, be in its group `pico` (from the next login on), then plug the scope in again"
