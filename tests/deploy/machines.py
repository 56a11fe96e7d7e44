"""Computers for tests of an installation: own files, own systemd and sshd, on the network of `link.hosts`.

The files are those of this computer with a layer in memory above them, so whatever is installed is gone afterwards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from link.hosts import Host, Hosts
from nodes.real import wait_for

NEEDED = {"systemd-nspawn": "systemd-container", "sshd": "openssh-server", "ssh": "openssh-client"}


def why_none(*more: str) -> str:
    """Why no computers can be made here; empty if they can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    missing = [name for name in (*NEEDED, *more) if shutil.which(name, path=path) is None]
    if missing:
        return f"{', '.join(missing)} not found: install {', '.join(NEEDED.get(name, name) for name in missing)}"
    return "" if os.getuid() == 0 else "run as root"


class Machine:
    """One computer that has booted."""

    def __init__(self, name: str, host: Host, root: Path, key: Path) -> None:
        self.name = name
        self.host = host
        self.root = root
        self.key = key

    def ssh(self, command: str) -> str:
        """Carry out a command there as root; what it has printed."""
        done = self._run(command)
        assert done.returncode == 0, f"{self.name}: {command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def is_up(self) -> bool:
        """Whether one can log in."""
        return self._run("true").returncode == 0

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        words = [*self.host.prefix, "ssh", *options(self.key), f"root@{self.host.address}", command]
        return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def options(key: Path) -> list[str]:
    """Of ssh: with that key, whatever host key the computer has."""
    given = {"StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "LogLevel": "ERROR", "BatchMode": "yes"}
    return ["-i", str(key), *(word for name, value in given.items() for word in ("-o", f"{name}={value}"))]


@contextmanager
def machines(folder: Path, *names: str) -> Iterator[tuple[Hosts, dict[str, Machine]]]:
    """Boot computers; host 0 of the network has none: it is the place of the operator."""
    key = folder / "ssh_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with ExitStack() as stack:
        hosts = stack.enter_context(Hosts(len(names) + 1))
        found = {}
        for i, name in enumerate(names):
            root = stack.enter_context(_files(folder / name, key))
            stack.enter_context(_booted(hosts[i + 1], root, folder / f"{name}.log"))
            found[name] = Machine(name, hosts[i + 1], root, key)
        for machine in found.values():
            wait_for(machine.is_up, f"for {machine.name} to boot", patience_s=120.0)
        yield hosts, found


@contextmanager
def _files(place: Path, key: Path) -> Iterator[Path]:
    """This computer's files with a layer above them."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "layer", str(place)], check=True)
    try:
        parts = {name: place / name for name in ("upper", "work", "root")}
        for path in parts.values():
            path.mkdir()
        layers = f"lowerdir=/,upperdir={parts['upper']},workdir={parts['work']}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(parts["root"])], check=True)
        try:
            root = parts["root"]
            (root / "etc" / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
            (root / "root" / ".ssh").mkdir(mode=0o700, exist_ok=True)
            (root / "root" / ".ssh" / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
            yield root
        finally:
            subprocess.run(["umount", str(parts["root"])], check=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def _booted(host: Host, root: Path, log: Path) -> Iterator[None]:
    words = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", f"--directory={root}"]
    words += [f"--machine={host.name}", f"--network-namespace-path=/run/netns/{host.name}"]
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        try:
            yield
        finally:
            process.terminate()  # it shuts down in order
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
