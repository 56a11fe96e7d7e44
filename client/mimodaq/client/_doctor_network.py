"""What `mimodaq doctor` finds out about other computers by knocking: names, SSH, ports."""

from __future__ import annotations

import contextlib
import enum
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mimodaq.config import HostSpec
from mimodaq.picoscope import Finding

PATIENCE_S: Final = 2.0
SSH_PORT: Final = 22


class Door(enum.Enum):
    """What knocking at a port has shown."""

    OPEN = "open"
    CLOSED = "closed"
    """The computer answers, but no program listens there."""
    SILENT = "silent"
    """Nothing answers: a firewall, or no such computer."""
    NO_WAY = "no way"
    """The network knows no way there."""


@dataclass(frozen=True, slots=True)
class Knocked:
    """What was found at a port."""

    door: Door
    words: str = ""
    """The first bytes a program said there."""


def knock(address: str, port: int, patience_s: float = PATIENCE_S, *, is_listening: bool = False) -> Knocked:
    """Try to connect; with `is_listening` wait for what the other end says first."""
    try:
        with socket.create_connection((address, port), patience_s) as line:
            with contextlib.suppress(OSError):  # it may say nothing
                return Knocked(Door.OPEN, line.recv(64).decode(errors="replace") if is_listening else "")
            return Knocked(Door.OPEN)
    except TimeoutError:
        return Knocked(Door.SILENT)
    except ConnectionRefusedError:
        return Knocked(Door.CLOSED)
    except OSError:
        return Knocked(Door.NO_WAY)


def number_of(address: str) -> str | None:
    """The number of an address that may be a name; None if nobody knows the name."""
    try:
        return str(socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return None


def is_here(number: str) -> bool:
    """Whether an address is one of this computer's."""
    family = socket.AF_INET6 if ":" in number else socket.AF_INET
    with socket.socket(family) as own:
        try:
            own.bind((number, 0))
        except OSError:
            return False
    return True


def look_at_host(
    host: HostSpec, ports: range, *, is_in_run: bool, ssh_port: int = SSH_PORT, patience_s: float = PATIENCE_S
) -> Iterator[Finding]:
    """Name, SSH and ports of a host."""
    what = f"{host.name}"
    number = number_of(host.address)
    if number is None:
        remedy = f"write the number (10.0.0.11) as address of {host.name} in the setup, or add the name to /etc/hosts"
        yield Finding(what, False, f"the name {host.address} cannot be resolved", remedy)
        return
    here = is_here(number)
    where = host.address if host.address == number else f"{host.address} = {number}"
    yield Finding(what, True, f"{where}, this computer" if here else where)
    if here:
        yield _own_ports(host.name, number, ports, is_in_run=is_in_run)
        return
    ssh = knock(number, ssh_port, patience_s, is_listening=True)
    yield _ssh(host.name, ssh, ssh_port)
    yield _ports(host.name, ports, [knock(number, port, patience_s).door for port in ports])


def _ssh(name: str, found: Knocked, port: int) -> Finding:
    what = f"{name} SSH"
    needed = "it is needed to install and to log in, not to take data"
    match found:
        case Knocked(Door.OPEN, words) if words.startswith("SSH-"):
            return Finding(what, True, words.strip())
        case Knocked(Door.OPEN, words):
            return Finding(what, None, f"port {port} is not SSH's (it says {words[:20]!r})", f"find its port; {needed}")
        case Knocked(Door.CLOSED):
            return Finding(what, None, f"nothing listens at port {port}", f"start sshd there; {needed}")
        case Knocked(Door.SILENT):
            text = f"no answer from port {port}"
            return Finding(what, None, text, f"is the computer on, its cable in, port {port} open in its firewall?")
    return Finding(what, False, "there is no way to this computer", "look at the network of this computer: ip route")


def _ports(name: str, ports: range, doors: list[Door]) -> Finding:
    """Closed doors are as good as open ones: a program listens there only during a run."""
    what = f"{name} ports"
    which = _range(ports)
    shut = [str(port) for port, door in zip(ports, doors, strict=True) if door in (Door.SILENT, Door.NO_WAY)]
    if shut:
        remedy = f"open TCP {which} in the firewall of {name}, or choose other ports: data_port"
        return Finding(what, False, f"no answer from {', '.join(shut)}", remedy)
    is_open = Door.OPEN in doors
    return Finding(what, True, f"{which} {'answers' if is_open else 'can be reached'}")


def _own_ports(name: str, number: str, ports: range, *, is_in_run: bool) -> Finding:
    what = f"{name} ports"
    taken = [str(port) for port in ports if not _is_free(number, port)]
    if taken and not is_in_run:
        remedy = f"end the program that listens there (ss -tlnp), or choose another data_port for {name}"
        return Finding(what, False, f"{', '.join(taken)} taken by another program", remedy)
    return Finding(what, True, f"{_range(ports)} {'in use by the run' if taken else 'free'}")


def _range(ports: range) -> str:
    return f"port {ports[0]}" if len(ports) == 1 else f"ports {ports[0]}-{ports[-1]}"


def _is_free(number: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in number else socket.AF_INET
    with socket.socket(family) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((number, port))
        except OSError:
            return False
    return True
