"""Key files: one for each person or host, readable by its owner alone."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mimodaq.protocol.messages import Key as KeyText
from mimodaq.protocol.messages import Role
from mimodaq.protocol.parts import Name
from mimodaq.system import config_home, state_home

SUFFIX: Final = ".key"
_MAX_BYTES: Final = 10_000


class KeysError(Exception):
    """Something about keys must be mended by the user; the message says what and how."""


@dataclass(frozen=True, slots=True)
class Key:
    """Who somebody is, and how to be sure of the broker."""

    name: str
    role: Role
    public: str
    """CURVE key as Z85 text, like the others."""
    secret: str = field(repr=False)
    broker: str
    """Public key of the broker."""


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Name
    role: Role
    public: KeyText
    secret: KeyText
    broker: KeyText


def key_folder() -> Path:
    """Where key files are kept: MIMODAQ_KEYS, or among the user's configuration."""
    given = os.environ.get("MIMODAQ_KEYS", "")
    return Path(given) if given else config_home() / "keys"


def state_folder() -> Path:
    """Where a broker keeps what it must remember: MIMODAQ_STATE, or among the user's state."""
    given = os.environ.get("MIMODAQ_STATE", "")
    return Path(given) / "broker" if given else state_home() / "broker"


def read_key(path: Path) -> Key:
    """The key in a file. Raises KeysError if it is missing, damaged, or can be read by others."""
    content = read_private(path, "key file")
    try:
        file = _KeyFile.model_validate(content)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, detail["loc"]))
        raise KeysError(
            f"{path} is no key file of mimodaq ({where}: {detail['msg']}). Make a new one: mimodaq keys create"
        ) from None
    return Key(file.name, file.role, file.public, file.secret, file.broker)


def read_private(path: Path, what: str) -> Any:
    """The YAML content of a file that holds a secret. Raises KeysError."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise KeysError(f"{path} is no file: name the {what}")
        if mode & 0o077:
            raise KeysError(
                f"{path} holds a secret and others may read it (mode {stat.S_IMODE(mode):04o}). If nobody has: "
                f"chmod 600 {path}; else revoke the key and make a new one"
            )
        with path.open("rb") as file:
            return yaml.safe_load(file.read(_MAX_BYTES))
    except FileNotFoundError:
        raise KeysError(
            f"there is no {what} {path}. Get one from whoever runs the broker (mimodaq keys create NAME --role ROLE)"
        ) from None
    except OSError as error:
        raise KeysError(f"reading the {what} {path}: {error.strerror}. It must be readable by its owner") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise KeysError(f"{path} is no {what}: it is no YAML text. Make a new one: mimodaq keys create") from error


def default_key(folder: Path | None = None) -> Path | None:
    """The key file of a person in a folder, if there is exactly one; None if there is none.

    Raises KeysError if there are several, or if one cannot be read.
    """
    folder = folder or key_folder()
    paths = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    persons = [path for path in paths if read_key(path).role is not Role.HOST]
    if len(persons) > 1:
        raise KeysError(
            f"there are several keys in {folder} ({', '.join(p.name for p in persons)}): choose one, --key FILE"
        )
    return persons[0] if persons else None
