"""Packing of batches for slow networks, with the codecs of pyarrow; imported only when a link packs."""

from __future__ import annotations

from functools import cache
from typing import Any

from mimodaq.protocol.link import MessageError


@cache
def _codec(name: str) -> Any:
    import pyarrow

    return pyarrow.Codec("lz4" if name == "lz4" else "zstd", compression_level=None if name == "lz4" else 1)


def pack(codec: str, data: memoryview) -> memoryview:
    """Pack bytes."""
    return memoryview(_codec(codec).compress(data))


def unpack(codec: str, data: memoryview, size: int) -> memoryview:
    """Unpack to exactly `size` bytes; raises MessageError when that is not what was packed."""
    try:
        whole = memoryview(_codec(codec).decompress(data, decompressed_size=size))
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise MessageError(f"a batch that cannot be unpacked ({codec}: {error})") from error
    if len(whole) != size:
        raise MessageError(f"a packed batch of {len(whole)} bytes instead of {size}")
    return whole
