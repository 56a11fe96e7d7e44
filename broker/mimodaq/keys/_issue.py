"""Make keys and take them back. Done on the broker's host, as the broker's user; a running broker notices."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import yaml
import zmq
from pydantic import BaseModel, ConfigDict, ValidationError

from mimodaq.keys._authorized import Grant, read_authorized, write_authorized
from mimodaq.keys._files import SUFFIX, Key, KeysError, read_private
from mimodaq.protocol.messages import Key as KeyText
from mimodaq.protocol.messages import Role
from mimodaq.system import private_folder, write_file

BROKER_FILE: Final = "broker.key"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@\-]{0,62}")


@dataclass(frozen=True, slots=True)
class BrokerPair:
    """The broker's own keys."""

    public: str
    secret: str = field(repr=False)


class _PairFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    public: KeyText
    secret: KeyText


def broker_pair(state: Path, *, make: bool = True) -> BrokerPair:
    """The broker's keys, made when they are first asked for. Raises KeysError."""
    path = state / BROKER_FILE
    if make:
        with _one_at_a_time(state):
            if not path.exists():
                public, secret = _new_pair()
                _write(path, {"public": public, "secret": secret})
    try:
        file = _PairFile.model_validate(read_private(path, "broker's key file"))
    except ValidationError:
        raise KeysError(f"{path} is damaged. Take it from a backup; without it all keys must be made anew") from None
    return BrokerPair(file.public, file.secret)


def create(name: str, role: Role, state: Path, folder: Path, today: date) -> Path:
    """Make a key, put it on the broker's list, and write its file into `folder`. Raises KeysError."""
    if not _NAME.fullmatch(name):
        raise KeysError(f"{name!r} cannot be the name of a key: use up to 63 letters, digits and any of . _ - @")
    broker = broker_pair(state)
    path = folder / f"{name}{SUFFIX}"
    with _one_at_a_time(state):
        grants = read_authorized(state).grants
        known = next((g for g in grants if g.name == name), None)
        if known is not None:
            raise KeysError(
                f"there is a key {name!r} already ({known.role.value}, since {known.since or 'long ago'}). "
                f"Choose another name, or first: mimodaq keys revoke {name}"
            )
        if path.exists():
            raise KeysError(f"{path} exists and is not overwritten: remove it, or choose another --dir")
        public, secret = _new_pair()
        key = Key(name, role, public, secret, broker.public)
        _write(path, {"name": name, "role": role.value, "public": public, "secret": secret, "broker": key.broker})
        write_authorized(state, [*grants, Grant(name, role, public, today.isoformat())])
    return path


def revoke(name: str, state: Path) -> Grant:
    """Take a key off the broker's list. Raises KeysError if there is none of this name."""
    with _one_at_a_time(state):
        grants = read_authorized(state).grants
        grant = next((g for g in grants if g.name == name), None)
        if grant is None:
            names = ", ".join(g.name for g in grants) or "none"
            raise KeysError(f"{state} has no key {name!r}; there are: {names}")
        write_authorized(state, [g for g in grants if g.name != name])
    return grant


def _new_pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode("ascii"), secret.decode("ascii")


def _write(path: Path, content: dict[str, str]) -> None:
    try:
        text = yaml.safe_dump(content, sort_keys=False, width=200)
        write_file(private_folder(path.parent) / path.name, text.encode())
    except OSError as error:
        raise KeysError(f"writing {path}: {error.strerror}. Choose another place, --dir") from error


@contextmanager
def _one_at_a_time(state: Path) -> Iterator[None]:
    """Two `mimodaq keys` at once must not lose each other's lines."""
    try:
        fd = os.open(private_folder(state), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeysError(f"opening the broker's folder {state}: {error.strerror}. Choose another, --state") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
