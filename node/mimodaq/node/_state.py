"""What a node daemon must know after it was killed and started again: a folder of its own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mimodaq.config import BundleError, Setup, load_unpacked, unpack_setup
from mimodaq.protocol.codec import ProtocolError, decode, encode
from mimodaq.protocol.membership import next_epoch
from mimodaq.protocol.messages import Memory
from mimodaq.system import FolderLock, private_folder, read_number, write_file

_MEMORY: Final = "memory"
_EPOCH: Final = "epoch"
_RUN: Final = "run_directory"


class NodeState:
    """The state folder of one node; one daemon has it at a time."""

    def __init__(self, folder: Path, here: Mapping[str, Setup] = MappingProxyType({})) -> None:
        """Take the folder; setups that are `here` (by name) never travel. Raises LockedError, OSError."""
        self.folder = private_folder(folder)
        self._here = here
        self._lock = FolderLock(folder, "a node daemon", "Stop that one first, or use another --state folder")
        self._setups = private_folder(folder / "setups")
        self.epoch = next_epoch(read_number(folder / _EPOCH), time.time())
        write_file(folder / _EPOCH, f"{self.epoch}\n".encode())

    @property
    def tag(self) -> str:
        """What names in shared memory begin with, see `tag_of`."""
        return tag_of(self.folder)

    def remember(self, memory: Memory) -> None:
        """Write down what will be true. Raises OSError."""
        write_file(self.folder / _MEMORY, encode(memory))

    def memory(self) -> Memory | None:
        """What an earlier life has written down; None if nothing can be read."""
        return memory_of(self.folder)

    def keep_run_directory(self, path: Path) -> None:
        """Note where the present run writes."""
        write_file(self.folder / _RUN, f"{path}\n".encode())

    def run_directory(self) -> Path | None:
        """Where the run of the earlier life writes."""
        try:
            return Path((self.folder / _RUN).read_text().rstrip("\n"))
        except FileNotFoundError:
            return None

    def has_setup(self, setup_id: str) -> bool:
        """Whether a setup need not be fetched."""
        return setup_id in self._here or (self._setups / setup_id).is_dir()

    def store_setup(self, setup_id: str, raw: bytes) -> None:
        """Keep a setup that has come. Raises BundleError if it is not what its name says, OSError."""
        if hashlib.sha256(raw).hexdigest() != setup_id:
            raise BundleError("the setup that came is damaged: its content does not fit its name")
        unpack_setup(raw, self._setups / setup_id)

    def load_setup(self, setup_id: str) -> Setup:
        """A setup that is here. Raises SetupErrors, BundleError."""
        return self._here[setup_id] if setup_id in self._here else load_unpacked(self._setups / setup_id)

    def release(self) -> None:
        """Let another daemon have the folder."""
        self._lock.release()


def memory_of(folder: Path) -> Memory | None:
    """What the daemon of a state folder has written down; None if nothing can be read."""
    try:
        found = decode((folder / _MEMORY).read_bytes())
    except (FileNotFoundError, ProtocolError):
        return None
    return found if isinstance(found, Memory) else None


def tag_of(folder: Path) -> str:
    """Short text that no other state folder of this computer has."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
