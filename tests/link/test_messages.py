"""Whatever bytes arrive: a valid message or MessageError, nothing else."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimodaq.link._copies import dtype_of
from mimodaq.protocol import link
from mimodaq.protocol import link_window_messages as window
from mimodaq.protocol.link import HEADER_LIMIT, Batch, MessageError
from mimodaq.protocol.link_messages import Ack, Bye, Hello, Open, Ping, Refused, Unknown, Welcome
from mimodaq.protocol.link_window_messages import Ask, Copies, Denied, Here, Later, Over

MAGIC, VERSION = "mimodaq.link", 1
NUMBER = st.integers(0, 2**63 - 1)
MESSAGES = st.one_of(
    st.builds(Hello, st.text(max_size=90), st.text(max_size=90), NUMBER, st.text(max_size=90), NUMBER, NUMBER),
    st.builds(Welcome, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, st.booleans()),
    st.builds(Refused, NUMBER, st.text(max_size=90)),
    st.builds(Open, NUMBER, NUMBER, NUMBER, NUMBER),
    st.builds(Batch, NUMBER, NUMBER, NUMBER, st.integers(-1, 2**40), st.text(max_size=9)),
    st.builds(Ping, NUMBER, NUMBER, NUMBER, st.integers(-1, 2**40)),
    st.builds(Ack, NUMBER, NUMBER, NUMBER, NUMBER, st.booleans(), st.booleans()),
    st.builds(Unknown, NUMBER),
    st.builds(Bye, NUMBER),
)


LOOKS = st.one_of(
    st.builds(Ask, NUMBER, st.text(max_size=90), NUMBER, st.integers(-1, 2**40)),
    st.builds(Copies, NUMBER, st.text(max_size=90), NUMBER, NUMBER, st.integers(-1, 2**40), st.booleans()),
    st.builds(Later, NUMBER, NUMBER),
    st.builds(Denied, NUMBER, st.text(max_size=90)),
    st.builds(Here, st.text(max_size=90), st.text(max_size=90), st.text(max_size=90), NUMBER, NUMBER, st.booleans()),
    st.builds(Over, NUMBER),
)


@settings(deadline=None)
@given(LOOKS, st.data())
def test_what_is_said_at_a_window_survives_the_wire_or_is_refused(message: window.Message, data: st.DataObject) -> None:
    raw = bytearray(window.encode(message))
    assert window.decode(bytes(raw)) == message
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        window.encode(window.decode(bytes(raw)))
    except MessageError:
        return


@pytest.mark.parametrize(
    ("dtype", "event_bytes"),
    [
        ("no JSON", 4),
        ("[]", 0),
        ("{}", 4),
        ('[["a", "<f4", [1]]]', 8),
        ('[["a", "O", [1]]]', 8),
        ('[["a", "<f4", ["x"]]]', 4),
        ('[["a", "<f4", [-1]]]', 4),
        ('[["a", "rubbish", [1]]]', 4),
        ('[["a"]]', 4),
        ("[" * 5000, 4),
    ],
)
def test_events_of_a_senseless_kind_are_refused(dtype: str, event_bytes: int) -> None:
    with pytest.raises(MessageError, match="the kind"):
        dtype_of(Copies(1, dtype, event_bytes, 1, 0, False))


@pytest.mark.parametrize(("events", "metadata"), [(99, 32), (100, 31), (0, 0)])
def test_frames_that_do_not_fit_copies_are_refused(events: int, metadata: int) -> None:
    with pytest.raises(MessageError):
        window.check_copies(Copies(1, "[]", 100, 1, 0, False), events, metadata)


@settings(deadline=None)
@given(MESSAGES)
def test_a_message_survives_the_wire(message: link.Message) -> None:
    assert link.decode(link.encode(message)) == message


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused(raw: bytes) -> None:
    with pytest.raises(MessageError):
        link.decode(raw)


@settings(deadline=None)
@given(MESSAGES, st.data())
def test_a_damaged_message_is_refused_or_is_another_message(message: link.Message, data: st.DataObject) -> None:
    raw = bytearray(link.encode(message))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        link.encode(link.decode(bytes(raw)))
    except MessageError:
        return


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([MAGIC, VERSION + 1, "Bye", 1], "link version 2, this mimodaq speaks 1"),
        ([MAGIC, VERSION, "Goodbye", 1], "unknown kind 'Goodbye'"),
        ([MAGIC, VERSION, ["Bye"], 1], "unknown kind"),
        ([MAGIC, VERSION, "Bye"], "Bye with 0 fields, it has 1"),
        ([MAGIC, VERSION, "Bye", "1"], "Bye.nonce is a str, not a int"),
        ([MAGIC, VERSION, "Bye", True], "Bye.nonce is a bool, not a int"),
        ([MAGIC, VERSION, "Bye", -1], "Bye.nonce = -1 is out of range"),
        ([MAGIC, VERSION, "Bye", 2**63], "out of range"),
        ([MAGIC, VERSION, "Refused", 1, "x" * 50000], "50000 characters"),
        (["other", VERSION, "Bye", 1], "none of a link"),
        ({"a": 1}, "none of a link"),
    ],
)
def test_what_is_wrong_with_a_message_is_said(body: object, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        link.decode(msgpack.packb(body))


def test_a_long_header_is_not_even_read() -> None:
    with pytest.raises(MessageError, match="at most 65536"):
        link.decode(bytes(HEADER_LIMIT + 1))


@pytest.mark.parametrize(
    ("batch", "events", "metadata", "says"),
    [
        (Batch(1, 0, 0, 0, "none"), 0, 0, "a batch of 0 events"),
        (Batch(1, 0, 11, 0, "none"), 1100, 264, "at most 10 are allowed"),
        (Batch(1, 0, 2**62, 0, "lz4"), 1, 1, "at most 10 are allowed"),
        (Batch(1, 0, 2, 0, "none"), 199, 48, "199 bytes where 2 events have 200"),
        (Batch(1, 0, 2, 0, "none"), 200, 47, "metadata of 47 bytes for 2 events"),
        (Batch(1, 0, 2, 0, "rar"), 200, 48, "packed with 'rar'"),
    ],
)
def test_frames_that_do_not_fit_their_header_are_refused(batch: Batch, events: int, metadata: int, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        link.check_batch(batch, events, metadata, event_bytes=100, batch_bytes=1000)


def test_one_event_larger_than_a_batch_is_allowed() -> None:
    link.check_batch(Batch(1, 0, 1, 0, "none"), 5000, 24, event_bytes=5000, batch_bytes=1000)
