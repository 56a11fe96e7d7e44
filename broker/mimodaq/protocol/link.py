"""The session of a link between two rings: everything both shells need, in one place.

Start reading at `link_sender` and `link_receiver`; `link_messages` is what goes over the wire.
"""

from mimodaq.protocol.link_common import (
    Finish,
    Gap,
    Garbled,
    Identity,
    Leave,
    Outcome,
    Say,
    Settings,
    Tick,
    Transmit,
)
from mimodaq.protocol.link_messages import (
    CODECS,
    HEADER_LIMIT,
    METADATA_COLUMNS,
    Batch,
    Message,
    MessageError,
    check_batch,
    decode,
    encode,
    metadata_bytes,
)
from mimodaq.protocol.link_receiver import Kept, Receiver
from mimodaq.protocol.link_sender import Place, Sender

__all__ = [
    "CODECS",
    "HEADER_LIMIT",
    "METADATA_COLUMNS",
    "Batch",
    "Finish",
    "Gap",
    "Garbled",
    "Identity",
    "Kept",
    "Leave",
    "Message",
    "MessageError",
    "Outcome",
    "Place",
    "Receiver",
    "Say",
    "Sender",
    "Settings",
    "Tick",
    "Transmit",
    "check_batch",
    "decode",
    "encode",
    "metadata_bytes",
]
