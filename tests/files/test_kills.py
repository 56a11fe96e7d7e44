"""Real SIGKILLs of a writer under load: nothing released is lost, nothing is there twice.

Half of the kills come at a random moment, half between storing a batch and releasing it.
"""

import multiprocessing
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from files.conftest import make_batch
from files.killing import DTYPES, write_ring, write_stream
from mimodaq.functions.files import open_events, recover
from mimodaq.ring import Ring

SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["files.killing", "pyarrow.parquet"])


def run_and_kill(body: Callable[..., None], *args: Any, after: int, hold: bool) -> None:
    """Start a writer and kill it after some releases, or before the release with that number."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=body, args=(*args, there, after if hold else 0))
    process.start()
    there.close()
    for _ in range(after):
        here.recv_bytes()
    process.kill()
    process.join()
    here.close()


def run_to_the_end(body: Callable[..., None], *args: Any) -> None:
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=body, args=(*args, there, 0))
    process.start()
    there.close()
    with suppress(EOFError):
        while True:
            here.recv_bytes()
    process.join()
    here.close()
    assert process.exitcode == 0


def counters(run_dir: Path) -> list[int]:
    with open_events(run_dir) as events:
        return [int(number) for batch in events.batches() for number in batch.counter]


def counters_after_recovery(run_dir: Path, copy: Path) -> list[int]:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run_dir, copy)
    assert recover(copy).is_complete
    assert recover(copy).files == ()
    return counters(copy)


@pytest.mark.parametrize(("kind", "kills", "batches"), [("parquet", 20, 5), ("csv", 8, 25), ("tar", 4, 3)])
def test_a_killed_writer_loses_nothing_released_and_doubles_nothing(
    tmp_path: Path, kind: str, kills: int, batches: int
) -> None:
    chance = random.Random(kind)
    run_dir, position = tmp_path / "run", tmp_path / "position"
    run_dir.mkdir()
    position.write_bytes(bytes(8))

    for kill in range(kills):
        after, hold = chance.randrange(1, batches), kill % 2 == 0
        run_and_kill(write_stream, kind, run_dir, position, 10**9, after=after, hold=hold)
        released = int.from_bytes(position.read_bytes(), "little")
        stored = counters_after_recovery(run_dir, tmp_path / "copy")
        assert stored == list(range(len(stored))), f"after kill {kill}"
        assert len(stored) > released if hold else len(stored) >= released, f"after kill {kill}"

    run_to_the_end(write_stream, kind, run_dir, position, released + 200)
    assert counters(run_dir) == list(range(released + 200))
    with open_events(run_dir) as events:
        for batch in events.batches():
            expected = make_batch(DTYPES[kind], batch.counter).events
            for name in DTYPES[kind].names or ():
                assert (batch.events[name].astype(expected[name].dtype) == expected[name]).all()


def test_a_ring_hands_the_events_of_a_killed_writer_to_the_next_one_and_each_is_stored_once(
    tmp_path: Path, make_ring: Callable[..., Ring]
) -> None:
    ring = make_ring(DTYPES["csv"], slots=2000, max_deliveries=100)
    writer = ring.writer()
    batch = make_batch(DTYPES["csv"], range(2000))
    for i in range(2000):
        writer.put(batch.events[i], int(batch.counter[i]), float(batch.timestamp[i]), float(batch.deadtime[i]))
    writer.close()

    for kill in range(8):
        run_and_kill(write_ring, ring.segment, tmp_path, after=1 + kill % 3, hold=kill % 2 == 0)
    run_to_the_end(write_ring, ring.segment, tmp_path)
    assert sorted(counters(tmp_path)) == list(range(2000))
    assert ring.status().groups[0].released == 2000
