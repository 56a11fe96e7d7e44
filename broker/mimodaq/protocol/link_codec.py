"""How messages of links are written: msgpack lists ``[magic, version, kind, field, ...]``.

Fields are whole numbers, texts and flags.

Nothing that arrives is trusted: `decode` checks kind, types, ranges and sizes and raises MessageError, nothing else.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final, Generic, TypeVar

import msgpack

HEADER_LIMIT: Final = 64 * 1024
"""Bytes; a longer header is refused unread. The dtype of a buffer is the longest thing in one."""
TEXT_LIMIT: Final = 48 * 1024
_NUMBER_LIMIT: Final = 1 << 63
_TYPES: Final = {"int": int, "str": str, "bool": bool}

M = TypeVar("M")


class MessageError(ValueError):
    """What arrived is no message of a link."""


class Codec(Generic[M]):
    """Writes and reads the messages of one protocol, frozen dataclasses; fields named in `may_be_missing` may be -1."""

    def __init__(self, name: str, version: int, kinds: tuple[type[M], ...], may_be_missing: frozenset[str]) -> None:
        self._name = name
        self._magic = f"mimodaq.{name}"
        self._version = version
        self._kinds = {kind.__name__: kind for kind in kinds}
        self._fields = {
            kind.__name__: tuple((f.name, _TYPES[str(f.type)]) for f in fields(kind))  # type: ignore[arg-type]
            for kind in kinds
        }
        self._may_be_missing = may_be_missing

    def encode(self, message: M) -> bytes:
        """The header frame of a message."""
        kind = type(message).__name__
        body = [self._magic, self._version, kind, *[getattr(message, name) for name, _ in self._fields[kind]]]
        return msgpack.packb(body)  # type: ignore[no-any-return]

    def decode(self, raw: bytes) -> M:
        """The inverse of `encode`; raises MessageError for anything that is no message of this version."""
        if len(raw) > HEADER_LIMIT:
            raise MessageError(f"a header of {len(raw)} bytes, at most {HEADER_LIMIT} are allowed")
        try:
            body: Any = msgpack.unpackb(raw, raw=False, use_list=True)
        except Exception as error:  # msgpack raises a dozen kinds, RecursionError and UnicodeError among them
            raise MessageError(f"a header that is no msgpack ({type(error).__name__})") from error
        if not isinstance(body, list) or len(body) < 3 or body[0] != self._magic:
            raise MessageError(f"a header that is none of a {self._name}")
        if body[1] != self._version:
            raise MessageError(
                f"a message of {self._name} version {str(body[1])[:20]}, this mimodaq speaks {self._version}"
            )
        kind, values = body[2], body[3:]
        if not isinstance(kind, str) or kind not in self._kinds:
            raise MessageError(f"a message of the unknown kind {str(kind)[:40]!r}")
        expected = self._fields[kind]
        if len(values) != len(expected):
            raise MessageError(f"{kind} with {len(values)} fields, it has {len(expected)}")
        for value, (name, type_) in zip(values, expected, strict=True):
            if type(value) is not type_:
                raise MessageError(f"{kind}.{name} is a {type(value).__name__}, not a {type_.__name__}")
            if isinstance(value, str) and len(value) > TEXT_LIMIT:
                raise MessageError(f"{kind}.{name} has {len(value)} characters, at most {TEXT_LIMIT} are allowed")
            lowest = -1 if name in self._may_be_missing else 0
            if isinstance(value, int) and not lowest <= value < _NUMBER_LIMIT:
                raise MessageError(f"{kind}.{name} = {str(value)[:25]} is out of range")
        return self._kinds[kind](*values)
