"""The only way from messages to bytes and back.

On the wire a message is one msgpack array `[version, kind, fields]`, at most `MAX_BYTES` long. `decode` checks all of
it before anything is acted on: version, kind, that every field is known, of its type and within its bounds. It
raises `ProtocolError` and nothing else, whatever the bytes are. No pickle, no extension types, no code.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import msgpack
from pydantic import TypeAdapter, ValidationError

from mimodaq.protocol.messages import (
    Answer,
    Ask,
    Beat,
    Chunk,
    ClockAnswer,
    ClockAsk,
    Cluster,
    Do,
    Done,
    Fetch,
    Info,
    Inquire,
    LogAsk,
    LogBatch,
    LogLine,
    Memory,
    Message,
    Peers,
    PeersAsk,
    Refused,
    Report,
)
from mimodaq.protocol.parts import Wire

VERSION: Final = 1
MAX_BYTES: Final = 1 << 20
"""Longest message; a node with 400 buffers stays below a tenth of it."""


class ProtocolError(Exception):
    """Bytes that are no message, or a message that is too long to be sent."""


_ALL: Final = (
    Beat,
    Report,
    Done,
    ClockAsk,
    LogLine,
    Do,
    ClockAnswer,
    Ask,
    Fetch,
    Chunk,
    LogAsk,
    PeersAsk,
    Peers,
    Inquire,
    Info,
    LogBatch,
    Answer,
    Cluster,
    Memory,
    Refused,
)
_KINDS: Final[dict[str, type[Wire]]] = {cls.__name__.lower(): cls for cls in _ALL}
_NAMES: Final = {cls: kind for kind, cls in _KINDS.items()}


def encode(message: Message) -> bytes:
    """The bytes of a message.

    Raises ProtocolError if it would be longer than `MAX_BYTES` or holds what no message can hold.
    """
    kind = _NAMES[type(message)]
    try:
        raw: bytes = msgpack.packb([VERSION, kind, _table(message)], default=_plain)
    except (ValueError, TypeError, OverflowError) as error:
        raise ProtocolError(f"sending {kind}: cannot be written as msgpack: {error}") from error
    if len(raw) > MAX_BYTES:
        raise ProtocolError(f"sending {kind}: {len(raw)} bytes, at most {MAX_BYTES} can be sent")
    return raw


def decode(raw: bytes | bytearray | memoryview) -> Message:
    """The message in `raw`. Raises ProtocolError, and nothing else, if it is not exactly one valid message."""
    size = raw.nbytes if isinstance(raw, memoryview) else len(raw)
    if size > MAX_BYTES:
        raise ProtocolError(f"receiving a message: {size} bytes, at most {MAX_BYTES} are accepted")
    try:
        outer = msgpack.unpackb(raw, use_list=False, strict_map_key=True, ext_hook=_no_extension)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise ProtocolError(f"receiving a message: no msgpack ({type(error).__name__})") from error
    if not isinstance(outer, tuple) or len(outer) != 3:
        raise ProtocolError("receiving a message: expected [version, kind, fields]")
    version, kind, table = outer
    if type(version) is not int or version != VERSION:
        raise ProtocolError(
            f"receiving a message of protocol version {str(version)[:20]}: this is version {VERSION}; "
            "install the same release of mimodaq on all hosts"
        )
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ProtocolError(f"receiving a message: unknown kind {str(kind)[:40]!r}")
    if not isinstance(table, dict):
        raise ProtocolError(f"receiving {kind}: its fields are no table")
    try:
        message: Message = _validator(kind)(table)
    except (ValidationError, RecursionError) as error:
        raise ProtocolError(f"receiving {kind}: {_first(error)}") from error
    return message


@cache
def _validator(kind: str) -> Callable[[Any], Any]:
    """Checks the fields of a message; made when the first of its kind comes, so that importing stays cheap."""
    return TypeAdapter(_KINDS[kind]).validate_python


def _table(value: Wire) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Wire):
        return _table(value)
    raise TypeError(f"{type(value).__name__} has no form on the wire")


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError(f"extension type {code} is not used here")


def _first(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:40] for part in detail["loc"])
    return f"{where}: {detail['msg']}"[:300]
