"""The session of a link between two rings: everything both shells need, in one place.

Start reading at `link_sender` and `link_receiver`; `link_messages` is what goes over the wire,
`link_outflow` keeps the numbers of the sending end.
"""

from mimodaq.protocol.link_codec import HEADER_LIMIT, MessageError
from mimodaq.protocol.link_common import (
    Cut,
    Finish,
    Gap,
    Garbled,
    GiveUp,
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
    METADATA_COLUMNS,
    Batch,
    Message,
    check_batch,
    decode,
    encode,
    metadata_bytes,
)
from mimodaq.protocol.link_receiver import Receiver
from mimodaq.protocol.link_receiver_events import Kept
from mimodaq.protocol.link_sender import Sender
from mimodaq.protocol.link_sender_events import Place

__all__ = [
    "CODECS",
    "HEADER_LIMIT",
    "METADATA_COLUMNS",
    "Batch",
    "Cut",
    "Finish",
    "Gap",
    "Garbled",
    "GiveUp",
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
