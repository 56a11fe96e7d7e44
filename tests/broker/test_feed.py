"""Many reports in one frame, bounded in both directions."""

import zlib
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.test_messages import EXAMPLES, REPORT
from mimodaq.protocol import feed
from mimodaq.protocol.codec import MAX_BYTES, ProtocolError, encode
from mimodaq.protocol.messages import Beat, Cluster
from mimodaq.protocol.parts import coarse

quick = settings(max_examples=300, deadline=None)


@pytest.mark.parametrize("count", [0, 1, 200])
def test_reports_come_out_as_they_went_in(count):
    frames = feed.pack([encode(REPORT)] * count)
    assert [report for frame in frames for report in feed.unpack(frame)] == [REPORT] * count
    assert len(frames) == min(count, 1)


def test_more_than_a_frame_can_hold_is_split():
    report = encode(REPORT)
    count = 3 * MAX_BYTES // len(report)
    frames = feed.pack([report] * count)
    assert len(frames) == 4
    assert sum(len(feed.unpack(frame)) for frame in frames) == count


def test_a_frame_that_grows_beyond_all_bounds_is_refused():
    bomb = zlib.compress(b"\0" * (100 * MAX_BYTES), 9)
    with pytest.raises(ProtocolError, match="more than"):
        feed.unpack(bomb)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"", "cut off"),
        (b"rubbish", "not zlib"),
        (zlib.compress(msgpack.packb([encode(REPORT)])) + b"x", "something follows"),
        (zlib.compress(msgpack.packb([encode(REPORT)]))[:-1], "cut off"),
        (zlib.compress(b"\xc1"), "no msgpack"),
        (zlib.compress(msgpack.packb({"a": 1})), "expected a list"),
        (zlib.compress(msgpack.packb(["text"])), "expected a list"),
        (zlib.compress(msgpack.packb([encode(Beat("a", 1, 1))])), "found a beat"),
        (zlib.compress(msgpack.packb([b"\x01"])), r"expected \[version"),
    ],
)
def test_anything_else_is_refused(frame, words):
    with pytest.raises(ProtocolError, match=words):
        feed.unpack(frame)


def test_a_cluster_comes_out_as_it_went_in():
    (cluster,) = [message for message in EXAMPLES if isinstance(message, Cluster)]
    assert feed.unpack_cluster(feed.pack_cluster(encode(cluster))) == cluster
    with pytest.raises(ProtocolError, match="found a beat"):
        feed.unpack_cluster(feed.pack_cluster(encode(Beat("a", 1, 1))))


@quick
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(raw):
    for unpack in (feed.unpack, feed.unpack_cluster):
        with pytest.raises(ProtocolError):
            unpack(raw)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 0.25, 1e-9, 1e300, 1234.5678, 0.1, 1.7e308, 5e-324])
def test_figures_are_as_exact_as_they_are_shown(value):
    assert coarse(value) == pytest.approx(value, rel=1e-3, abs=0)
    assert coarse(coarse(value)) == coarse(value)


@quick
@given(st.binary(max_size=200))
def test_random_content_is_refused_or_nothing(raw):
    with suppress(ProtocolError):
        assert feed.unpack(zlib.compress(raw)) == []


@quick
@given(st.data())
def test_a_damaged_frame_is_refused_or_still_holds_reports(data):
    frame = bytearray(feed.pack([encode(REPORT)])[0])
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    try:
        found = feed.unpack(bytes(frame))
    except ProtocolError:
        return
    assert found == [REPORT]
