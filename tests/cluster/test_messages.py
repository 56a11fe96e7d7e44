"""Bytes become a message that is entirely valid, or a ProtocolError; nothing else can happen."""

import enum
import typing

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimodaq.protocol import codec as c
from mimodaq.protocol import messages as m
from mimodaq.protocol import parts as p
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.states import State

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

REPORT = m.Report(
    node="daq1",
    epoch=3,
    number=17,
    state=State.RUNNING,
    setup_id="0123456789abcdef",
    run=12,
    running_s=1.5,
    ended=p.RunEnd(
        run=11,
        verdict=Verdict.TAINTED,
        reasons=("Fkt_2[0] failed and was started again: ValueError",),
        ending=p.Ending.COMMANDED,
        rings=(p.RingLedger("RB_1", (p.GroupLedger("Fkt_2", 10, 9, 1, 0),)),),
        links=(p.LinkLedger("RB_1:daq1>ana1", True, 9),),
    ),
    buffers=(p.BufferLine("RB_1", 10, 3.0, 1e6, 0.25, 0.0, ("Fkt_2",)),),
    workers=(p.WorkerLine("Fkt_1[0]", "running", 0),),
    links=(p.LinkLine("RB_1:daq1>ana1", True, 3.0, 1e6, 0, 2, 0, 0, 0.001),),
    clock=p.ClockLine(-0.002, 0.0001, 0),
    host=p.HostLine(cpu=0.5, temperature_c=61.0, disk_free_bytes=10),
)
EXAMPLES = [
    REPORT,
    m.Beat("daq1", 3, 18),
    m.Done(p.RequestId(5, 2), False, "no", REPORT),
    m.ClockAsk("daq1", 3, 1),
    m.ClockAnswer(1, 10, 11),
    m.LogLine("daq1", 1, "error", "Fkt_2[0]", "µ ≠ e"),
    m.Do(p.RequestId(5, 2), 3, m.Verb.CUT, run=12, link="RB_1:daq1>ana1"),
    m.Ask(1, "configure", setup_id="0123456789abcdef", optional=("ana2",), on_loss=p.OnLoss.STOP),
    m.Fetch("0123456789abcdef", 0),
    m.Chunk("0123456789abcdef", 0, 3, b"abc"),
    m.LogAsk(100),
    m.LogBatch((m.LogLine("daq1", 1, "error", "Fkt_2[0]", "µ ≠ e"),)),
    m.PeersAsk("daq1", 3, 19),
    m.Peers((m.PeerLine("daq1", m.Role.HOST, "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"),), True),
    m.Inquire(1, m.Topic.RUN, 10, run=12),
    m.Info(1, True, b"{}"),
    m.Memory(3, State.RUNNING, "0123456789abcdef", 12, cut=("RB_1:daq1>ana1",), ended=REPORT.ended),
    m.Answer(1, True, "run 12 is running", 12),
    m.Refused("ana1 may watch, not send a setup"),
    m.Cluster(
        5, 1, State.OFFLINE, State.RUNNING, 0.5, 12, 1.5, 10, "anna", "ana1 is not heard", "0123456789abcdef", (),
        (m.NodeLine("ana1", State.OFFLINE, "lost", 4.0, True, False, 0.0, 0.0, 0.0),),
    ),
]  # fmt: skip


def everything(kind):
    """Any valid message of one kind, by the types and bounds of its fields."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{name: values(hints[name]) for name in kind.__slots__})


def values(hint):
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        base, info = typing.get_args(hint)[:2]
        limits = {type(one).__name__: one for one in info.metadata}
        if base is str:
            if "_PydanticGeneralMetadata" in limits and "pattern" in limits["_PydanticGeneralMetadata"].__dict__:
                length = 40 if "{40}" in limits["_PydanticGeneralMetadata"].pattern else 8
                return st.text("0123456789abcdef", min_size=length, max_size=40)
            low = limits["MinLen"].min_length if "MinLen" in limits else 0
            return st.text(st.characters(codec="utf-8"), min_size=low, max_size=20)
        if base is int:
            high = limits["Lt"].lt - 1 if "Lt" in limits else limits["Le"].le
            return st.integers(limits["Ge"].ge, high)
        if base is float:
            return st.floats(allow_nan=False, allow_infinity=False)
        if base is bytes:
            return st.binary(max_size=40)
        if typing.get_origin(base) is tuple:
            return st.lists(values(typing.get_args(base)[0]), max_size=3).map(tuple)
        return st.booleans()
    if hint in (type(None), None):
        return st.none()
    if origin is typing.Union or type(hint).__name__ == "UnionType":
        return st.one_of([values(one) for one in typing.get_args(hint)])
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    return everything(hint)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda one: type(one).__name__)
def test_a_message_survives_the_wire(message):
    assert c.decode(c.encode(message)) == message


def test_there_is_an_example_of_every_kind():
    assert {type(one) for one in EXAMPLES} == set(c._NAMES)


@pytest.mark.parametrize("kind", list(c._NAMES), ids=lambda kind: kind.__name__)
def test_whatever_is_within_bounds_survives_the_wire(kind):
    @settings(quick, max_examples=20)
    @given(everything(kind))
    def check(message):
        assert c.decode(c.encode(message)) == message

    check()


@given(st.binary(max_size=300))
@quick
def test_random_bytes_are_a_protocol_error(raw):
    with pytest.raises(c.ProtocolError):
        c.decode(raw)


@given(st.sampled_from(EXAMPLES), st.data())
@quick
def test_a_damaged_message_is_a_valid_one_or_a_protocol_error(message, data):
    raw = bytearray(c.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    try:
        found = c.decode(raw)
    except c.ProtocolError:
        return
    assert c.decode(c.encode(found)) == found


simple = (st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=5))
anything = st.recursive(
    st.one_of(*simple, st.binary(max_size=5)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(EXAMPLES), st.data())
@quick
def test_a_field_of_another_type_is_never_taken_for_something_else(message, data):
    version, kind, table = msgpack.unpackb(c.encode(message))
    table[data.draw(st.sampled_from(sorted(table)))] = data.draw(anything)
    try:
        found = c.decode(msgpack.packb([version, kind, table]))
    except c.ProtocolError:
        return
    assert is_in(table, msgpack.unpackb(c.encode(found))[2])


def is_in(given, found):
    """Whether all that was given has been found; what was left out has its default there."""
    if isinstance(given, dict) and isinstance(found, dict):
        return given.keys() <= found.keys() and all(is_in(given[key], found[key]) for key in given)
    if isinstance(given, list) and isinstance(found, list):
        return len(given) == len(found) and all(map(is_in, given, found))
    return given == found


def refuses(outer):
    with pytest.raises(c.ProtocolError) as caught:
        c.decode(msgpack.packb(outer))
    return str(caught.value)


def test_another_version_is_refused_with_the_remedy():
    beat = {"node": "a", "epoch": 1, "number": 1}
    assert "install the same release" in refuses([2, "beat", beat])
    assert "install the same release" in refuses([True, "beat", beat])


def test_unknown_kinds_and_fields_are_refused():
    beat = {"node": "a", "epoch": 1, "number": 1}
    assert "unknown kind 'exec'" in refuses([1, "exec", beat])
    assert "also" in refuses([1, "beat", {**beat, "also": 1}])
    assert "expected [version, kind, fields]" in refuses([1, "beat", beat, 0])
    assert "number" in refuses([1, "beat", {"node": "a", "epoch": 1}])


def test_bytes_after_the_message_are_refused():
    with pytest.raises(c.ProtocolError):
        c.decode(c.encode(EXAMPLES[1]) + b"\x00")


def test_deep_nesting_is_refused():
    for depth in (10, 900, 5000, 200_000):
        with pytest.raises(c.ProtocolError):
            c.decode(b"\x93\x01\xa4beat" + b"\x91" * depth + b"\xc0")
        with pytest.raises(c.ProtocolError):
            c.decode(b"\x93\x01\xa4beat" + b"\x81\xa4node" * (depth // 5) + b"\xc0")


def test_what_is_too_long_is_refused_in_both_directions():
    with pytest.raises(c.ProtocolError, match="at most"):
        c.decode(bytes(c.MAX_BYTES + 1))
    lines = tuple(p.BufferLine("b" * 200, 1, 1.0, 1.0, 0.0, 0.0, ("c" * 200,) * 60) for _ in range(100))
    with pytest.raises(c.ProtocolError, match="at most"):
        c.encode(m.Report("a", 1, 1, State.IDLE, buffers=lines))


def test_numbers_that_are_none_and_extension_types_are_refused():
    answer = {"number": 1, "ok": True, "text": "", "run": None}
    assert c.decode(msgpack.packb([1, "answer", answer]))
    refuses([1, "answer", {**answer, "run": msgpack.ExtType(5, b"x")}])
    refuses([1, "answer", {**answer, "run": msgpack.Timestamp(1)}])
    refuses([1, "answer", {**answer, "ok": 1}])
    clock = {"offset_s": float("nan"), "jitter_s": 0.0, "jumps": 0}
    refuses([1, "report", {"node": "a", "epoch": 1, "number": 1, "state": "idle", "clock": clock}])


def test_the_report_of_a_host_with_400_buffers_fits_easily():
    lines = tuple(p.BufferLine(f"RB_{i}", 10**12, 1e6, 1e9, 0.5, 0.1, ("Fkt_2", "Fkt_3")) for i in range(400))
    assert len(c.encode(m.Report("a", 1, 1, State.IDLE, buffers=lines))) < c.MAX_BYTES / 10


def test_long_texts_are_cut_to_fit():
    text = p.short("x" * 10_000)
    assert len(text) == p.TEXT_MAX
    assert c.decode(c.encode(m.Answer(1, False, text)))
