"""Setups come in parts, are stored if they are what their name says, and are loaded without mistakes or refused."""

import hashlib

import pytest

from mimodaq.broker import _setups
from mimodaq.broker._setups import SetupError, Setups
from mimodaq.config import pack_setup
from mimodaq.protocol.messages import CHUNK_BYTES, Chunk, Fetch

RAW = bytes(range(256)) * 3000
NAME = hashlib.sha256(RAW).hexdigest()


@pytest.fixture
def setups(tmp_path):
    return Setups(tmp_path / "setups")


def send(setups, raw, name, part=CHUNK_BYTES):
    at = 0
    while at < len(raw):
        at = setups.take(Chunk(name, at, len(raw), raw[at : at + part])).offset
    return at


def fetch(setups, name):
    raw = b""
    while True:
        part = setups.part(Fetch(name, len(raw)))
        if not part.data:
            return raw
        raw += part.data


def test_what_was_sent_can_be_fetched(setups):
    assert send(setups, RAW, NAME) == len(RAW)
    assert fetch(setups, NAME) == RAW


def test_a_setup_that_is_there_is_not_sent_again(setups, tmp_path):
    send(setups, RAW, NAME)
    again = Setups(tmp_path / "setups")
    assert again.take(Chunk(NAME, 0, len(RAW), b"x")).offset == len(RAW)
    assert fetch(again, NAME) == RAW


def test_doubled_and_overtaken_parts_change_nothing(setups):
    setups.take(Chunk(NAME, 0, len(RAW), RAW[:1000]))
    assert setups.take(Chunk(NAME, 0, len(RAW), RAW[:1000])).offset == 1000
    assert setups.take(Chunk(NAME, 5000, len(RAW), RAW[5000:6000])).offset == 1000
    assert setups.part(Fetch(NAME, 0)) is None
    assert send(setups, RAW, NAME) == len(RAW)
    assert fetch(setups, NAME) == RAW


def test_content_that_does_not_fit_its_name_is_not_kept(setups):
    with pytest.raises(SetupError, match="does not fit its name"):
        send(setups, RAW[:-1] + b"x", NAME)
    assert setups.part(Fetch(NAME, 0)) is None


@pytest.mark.parametrize(
    "chunk", [Chunk("abcd1234", 0, 10, b"x"), Chunk(NAME, 0, 0, b""), Chunk(NAME, 0, 1 << 40, b"x")]
)
def test_what_cannot_be_a_setup_is_refused(setups, chunk):
    with pytest.raises(SetupError, match="a setup must have"):
        setups.take(chunk)


def test_unfinished_uploads_are_few(setups):
    names = [hashlib.sha256(bytes([i])).hexdigest() for i in range(20)]
    for name in names:
        setups.take(Chunk(name, 0, 1000, b"x"))
    assert len(setups._uploads) == _setups._UPLOADS
    assert setups.take(Chunk(names[0], 1, 1000, b"x")).offset == 0


def test_a_setup_becomes_a_plan(setups, setup_file):
    raw = pack_setup(setup_file)
    name = hashlib.sha256(raw).hexdigest()
    send(setups, raw, name)
    plan, about = setups.load(name)
    assert set(plan.nodes) == {"daq1", "ana1"}
    assert about["setup_id"] == name
    assert about["nodes"]["ana1"]["functions"][0]["name"] == "Fkt_2"
    assert [path.name for path in setups._folder.iterdir()] == [name]


def test_a_setup_that_is_not_here_is_named(setups):
    with pytest.raises(SetupError, match=f"does not have the setup {NAME[:12]}"):
        setups.load(NAME)


def test_bytes_that_are_no_setup_are_refused(setups):
    send(setups, RAW, NAME)
    with pytest.raises(SetupError, match="no setup"):
        setups.load(NAME)
