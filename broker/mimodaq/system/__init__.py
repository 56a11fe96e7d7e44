"""What a daemon needs of the operating system: files that are whole or not there, one owner, systemd, where things are.

Shared by broker, keys and node. Knows nothing of runs.
"""

from mimodaq.system._clock import CLOCK_STEP, wall_ns
from mimodaq.system._colours import red
from mimodaq.system._files import FolderLock, LockedError, private_folder, read_number, write_file
from mimodaq.system._notify import Notifier
from mimodaq.system._places import config_home, runtime_home, state_home
from mimodaq.system._tcp import let_go_of_the_dead
from mimodaq.system._versions import own_versions

__all__ = [
    "CLOCK_STEP",
    "FolderLock",
    "LockedError",
    "Notifier",
    "config_home",
    "let_go_of_the_dead",
    "own_versions",
    "private_folder",
    "read_number",
    "red",
    "runtime_home",
    "state_home",
    "wall_ns",
    "write_file",
]
