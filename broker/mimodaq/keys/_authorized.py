"""The list of keys a broker knows. The file is small, and read again whenever it has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mimodaq.keys._files import KeysError
from mimodaq.protocol.messages import Key as KeyText
from mimodaq.protocol.messages import PeerLine, Role
from mimodaq.protocol.parts import MANY, Name
from mimodaq.system import private_folder, write_file

FILE: Final = "authorized.yaml"
_HEAD: Final = (
    "# Public keys that may talk to this broker, written by `mimodaq keys`. A line taken out is a key revoked.\n"
)
_MAX_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Grant:
    """What one key may do."""

    name: str
    role: Role
    public: str
    since: str = ""
    """Day it was made."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Name
    role: Role
    public: KeyText
    since: str = ""


class _List(BaseModel):
    model_config = ConfigDict(extra="forbid")
    keys: list[_Line]


@dataclass(frozen=True, slots=True)
class Authorized:
    """The keys that are valid now. Names and keys are each there once."""

    grants: tuple[Grant, ...] = ()
    _by_public: Mapping[str, Grant] = field(default_factory=dict)

    @classmethod
    def of(cls, grants: Iterable[Grant]) -> Authorized:
        """From grants in any order."""
        ordered = tuple(sorted(grants, key=lambda g: (g.role.value, g.name)))
        return cls(ordered, {g.public: g for g in ordered})

    def by_public(self, public: str) -> Grant | None:
        """Whose key it is; None if it is not known, or not any more."""
        return self._by_public.get(public)

    def by_name(self, name: str) -> Grant | None:
        """The key of a person or host."""
        return next((g for g in self.grants if g.name == name), None)

    def lines(self) -> tuple[PeerLine, ...]:
        """As nodes are told."""
        return tuple(PeerLine(g.name, g.role, g.public) for g in self.grants)


def read_authorized(state: Path) -> Authorized:
    """The list beside a broker; empty if there is none. Raises KeysError if it is damaged."""
    path = state / FILE
    try:
        with path.open("rb") as file:
            content = yaml.safe_load(file.read(_MAX_BYTES))
    except FileNotFoundError:
        return Authorized()
    except OSError as error:
        raise KeysError(f"reading the list of keys {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise KeysError(f"{path} is no YAML text any more: {error}. Correct it, or take it from a backup") from error
    try:
        lines = _List.model_validate(content).keys
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, detail["loc"]))
        raise KeysError(f"{path}: {where}: {detail['msg']}. Correct it, or take it from a backup") from None
    for what, values in (("name", [line.name for line in lines]), ("key", [line.public for line in lines])):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise KeysError(f"{path}: the {what} {twice!r} is there twice: take one of the two lines out")
    return Authorized.of(Grant(line.name, line.role, line.public, line.since) for line in lines)


def write_authorized(state: Path, grants: Iterable[Grant]) -> None:
    """Replace the list. Raises KeysError if there are more keys than nodes can be told of."""
    ordered = Authorized.of(grants).grants
    if len(ordered) > MANY:
        raise KeysError(f"a broker knows at most {MANY} keys: revoke those that nobody uses")
    rows = [{"name": g.name, "role": g.role.value, "public": g.public, "since": g.since} for g in ordered]
    text = _HEAD + yaml.safe_dump({"keys": rows}, sort_keys=False, width=200, allow_unicode=True)
    write_file(private_folder(state) / FILE, text.encode())
