"""The files in /dev/shm: names, attachment from elsewhere, left-overs, and what is not a ring."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimodaq.ring import (
    NoSpace,
    Ring,
    SegmentError,
    SegmentInUse,
    _segment,
    left_overs,
    remove_left_overs,
    segment_name,
)
from mimodaq.ring._layout import HEADER_BYTES
from mimodaq.ring._process import Identity, myself, namespace
from ring.harness import PATIENCE_S, SMALL, Bell, Child


@pytest.fixture(autouse=True)
def private_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of our own: whoever starts a run on this computer removes left-overs from the common one."""
    with tempfile.TemporaryDirectory(dir=_segment.SHM, prefix="test-of-mimodaq.") as folder:
        monkeypatch.setattr(_segment, "SHM", Path(folder))
        yield
        left = list(Path(folder).iterdir())
    assert left == []


def path_of(ring: Ring) -> Path:
    return _segment.SHM / ring.segment


def rewrite_header(path: Path, **changes: Any) -> None:
    """Change what a segment says about itself."""
    raw = path.read_bytes()
    _, _, length, _ = _segment._HEAD.unpack_from(raw)
    header = json.loads(raw[_segment._HEAD.size :][:length]) | changes
    overwrite_header(path, json.dumps({name: value for name, value in header.items() if value is not None}).encode())


def overwrite_header(path: Path, body: bytes) -> None:
    """Put something else in the place of what a segment says about itself."""
    with path.open("r+b") as file:
        magic, version, _, size = _segment._HEAD.unpack(file.read(_segment._HEAD.size))
        file.seek(0)
        file.write(_segment._HEAD.pack(magic, version, len(body), size) + body)


def test_a_ring_attached_is_the_same_ring(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=5, buffer="pulses", description={"unit": "mV", "host": "pc1"})
    same = Ring.attach(ring.segment)
    assert (same.name, same.slots, same.dtype, same.groups) == ("pulses", 5, SMALL, ("g",))
    assert same.description == {"unit": "mV", "host": "pc1"}
    assert same.segment == ring.segment


def test_names_quote_what_is_needed() -> None:
    assert segment_name("b", partition="p", node="n") == f"mimodaq.{os.getuid()}.p.n.b"
    assert segment_name("a/b.c ä", partition="..") == f"mimodaq.{os.getuid()}.%2E%2E.local.a%2Fb%2Ec%20%C3%A4"


def test_there_must_be_a_ring_to_attach_to(ring: Ring, fresh_name: Callable[[], str]) -> None:
    with pytest.raises(SegmentError, match="there is no ring"):
        Ring.attach(fresh_name())
    ring.unlink()
    ring.unlink()
    with pytest.raises(SegmentError, match="there is no ring"):
        Ring.attach(ring.segment)


def test_a_ring_in_use_is_not_replaced(ring: Ring) -> None:
    with pytest.raises(SegmentInUse, match=f"is used by process {os.getpid()}: is this experiment running already"):
        Ring.create(ring.segment, SMALL, 4)
    assert path_of(ring) not in left_overs()
    assert Ring.attach(ring.segment).slots == 8


def make_and_die(name: str) -> None:
    Ring.create(name, SMALL, 4, groups=["g"])


def test_the_left_over_of_a_dead_process_is_replaced(fresh_name: Callable[[], str]) -> None:
    name = fresh_name()
    Child(make_and_die, name).end()
    assert _segment.SHM / name in left_overs()
    ring = Ring.create(name, SMALL, 16)
    assert _segment.SHM / name not in left_overs()
    assert Ring.attach(name).slots == 16
    ring.unlink()


def test_a_ring_whose_maker_has_died_is_kept_while_somebody_uses_it(
    fresh_name: Callable[[], str], new_bell: Callable[[], Bell]
) -> None:
    name, made, die, attached, stop = fresh_name(), new_bell(), new_bell(), new_bell(), new_bell()

    def make() -> None:
        make_and_die(name)
        made.ring()
        die.wait()

    def use() -> None:
        with Ring.attach(name).observer():
            attached.ring()
            stop.wait()

    with Child(make) as maker:
        made.wait()
        with Child(use) as user:
            attached.wait()
            die.ring()
            assert maker.has_ended(PATIENCE_S)
            with pytest.raises(SegmentInUse, match=f"used by process {user.pid}:"):
                Ring.create(name, SMALL, 4)
            stop.ring()
    Ring.create(name, SMALL, 4).unlink()


@pytest.mark.parametrize("what", ["another boot", "another process of the same id"])
def test_a_ring_of_the_past_is_left_over(new_ring: Callable[..., Ring], what: str) -> None:
    ring = new_ring()
    me = myself()
    if what == "another boot":
        rewrite_header(path_of(ring), boot="00000000-0000-0000-0000-000000000000")
    else:
        rewrite_header(path_of(ring), creator=[me.pid, me.start - 1, me.namespace])
    assert path_of(ring) in left_overs()
    with ring.reader("g"):
        assert (path_of(ring) in left_overs()) == (what == "another boot")
    Ring.create(ring.segment, SMALL, 4)


def test_a_process_of_another_pid_namespace_counts_as_alive(ring: Ring, dead: Identity) -> None:
    rewrite_header(path_of(ring), creator=[dead.pid, dead.start, namespace() + 1])
    assert path_of(ring) not in left_overs()
    with pytest.raises(SegmentInUse, match=f"process {dead.pid}:"):
        Ring.create(ring.segment, SMALL, 4)
    with pytest.raises(SegmentError, match="another pid namespace"):
        Ring.attach(ring.segment)


def test_a_ring_appears_only_when_it_is_complete(fresh_name: Callable[[], str]) -> None:
    name = fresh_name()
    with pytest.raises(ValueError, match="name of a reader group"):
        Ring.create(name, SMALL, 4, groups=["x" * 200])
    assert not (_segment.SHM / name).exists()


FOREIGN = {
    "empty": b"",
    "short": b"mimodaq\0",
    "foreign": b"something else" * 5000,
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_neither_opened_nor_replaced(fresh_name: Callable[[], str], content: bytes) -> None:
    path = _segment.SHM / fresh_name()
    path.write_bytes(content)
    try:
        with pytest.raises(SegmentError, match="is not a ring of mimodaq"):
            Ring.attach(path.name)
        with pytest.raises(SegmentError, match="is not a ring of mimodaq"):
            Ring.create(path.name, SMALL, 4)
        assert path not in left_overs()
        assert path.read_bytes() == content
    finally:
        path.unlink()


def test_a_link_is_not_followed(ring: Ring, fresh_name: Callable[[], str]) -> None:
    link = _segment.SHM / fresh_name()
    link.symlink_to(path_of(ring))
    try:
        with pytest.raises(SegmentError, match="opening"):
            Ring.attach(link.name)
        with pytest.raises(SegmentError, match="opening"):
            Ring.create(link.name, SMALL, 4)
        assert link not in left_overs()
    finally:
        link.unlink()


def test_another_version_is_refused(ring: Ring) -> None:
    with path_of(ring).open("r+b") as file:
        file.seek(8)
        file.write((99).to_bytes(4, "little"))
    with pytest.raises(SegmentError, match="layout version 99, this mimodaq knows 1"):
        Ring.attach(ring.segment)
    with pytest.raises(SegmentError, match="layout version 99"):
        Ring.create(ring.segment, SMALL, 4)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: os.truncate(path, path.stat().st_size - 4096),
        lambda path: os.truncate(path, HEADER_BYTES),
        lambda path: rewrite_header(path, slots=9),
        lambda path: rewrite_header(path, slots="many"),
        lambda path: rewrite_header(path, dtype=[["x"]]),
        lambda path: rewrite_header(path, boot=None),
        lambda path: rewrite_header(path, creator=[1]),
        lambda path: overwrite_header(path, b"not json"),
        lambda path: overwrite_header(path, b"[1, 2]"),
        lambda path: overwrite_header(path, b"{" * 20000),
    ],
)
def test_a_damaged_ring_is_refused(new_ring: Callable[..., Ring], damage: Callable[[Path], None]) -> None:
    ring = new_ring(slots=700)
    safe = path_of(ring).read_bytes()
    damage(path_of(ring))
    with pytest.raises(SegmentError, match="is damaged"):
        Ring.attach(ring.segment)
    with pytest.raises(SegmentError, match="is damaged"):
        Ring.create(ring.segment, SMALL, 4)
    assert path_of(ring) not in left_overs()
    path_of(ring).write_bytes(safe)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A tmpfs of 1 MiB in the place of /dev/shm."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a small tmpfs")
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mount.stderr.decode().strip()}")
    monkeypatch.setattr(_segment, "SHM", tmp_path)
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_ring_that_does_not_fit_is_refused_before_the_run(small_disk: Path, fresh_name: Callable[[], str]) -> None:
    with pytest.raises(NoSpace, match=r"needs 2\.\d+ MB in .*, where 1\.05 MB are free: lower number_of_slots"):
        Ring.create(fresh_name(), np.dtype([("chA", "f4", (500,))]), 1000)
    assert list(small_disk.iterdir()) == []
    fits = Ring.create(fresh_name(), np.dtype([("chA", "f4", (500,))]), 200)
    with pytest.raises(NoSpace):
        Ring.create(fresh_name(), np.dtype([("chA", "f4", (500,))]), 300)
    assert [path.name for path in small_disk.iterdir()] == [fits.segment]


@pytest.mark.parametrize(
    ("dtype", "says"),
    [
        (np.dtype("f4"), "an event is a record"),
        (np.dtype([]), "an event is a record"),
        (np.dtype([("a", "O")]), "cannot hold Python objects"),
        (np.dtype([("a", [("b", "f4")])]), "field 'a' of an event must be a plain number type"),
        (np.dtype([("a", "f4", (0,))]), "at least one sample"),
    ],
)
def test_an_event_is_a_planar_record(fresh_name: Callable[[], str], dtype: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        Ring.create(fresh_name(), dtype, 4)


def test_events_are_packed_and_in_native_byte_order(new_ring: Callable[..., Ring]) -> None:
    padded = np.dtype([("a", ">i2", (1,)), ("b", "<f8", (3,)), ("c", "S3")], align=True)
    assert new_ring(dtype=padded).dtype == np.dtype([("a", "=i2", (1,)), ("b", "=f8", (3,)), ("c", "S3")])


@pytest.mark.parametrize("wrong", [{"slots": 0}, {"max_deliveries": 0}, {"max_deliveries": 128}])
def test_numbers_that_make_no_ring_are_refused(fresh_name: Callable[[], str], wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"slot|max_deliveries"):
        Ring.create(fresh_name(), SMALL, **({"slots": 4} | wrong))


def test_a_description_too_long_is_refused(fresh_name: Callable[[], str]) -> None:
    with pytest.raises(SegmentError, match="description of the buffer is too long"):
        Ring.create(fresh_name(), SMALL, 4, description={"text": "x" * HEADER_BYTES})


def test_two_processes_may_replace_a_left_over_at_the_same_time(fresh_name: Callable[[], str]) -> None:
    name = fresh_name()
    Child(make_and_die, name).end()

    def replace() -> None:
        try:
            ring = Ring.create(name, SMALL, 4)
        except SegmentInUse:
            return
        assert Ring.attach(name).slots == ring.slots

    with Child(replace), Child(replace):
        pass
    path = _segment.SHM / name
    assert path in left_overs()
    assert remove_left_overs() == [path]
    assert remove_left_overs() == []
    assert not path.exists()
