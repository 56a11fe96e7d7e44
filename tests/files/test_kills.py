"""Real SIGKILLs of a writer under load: nothing released is lost, nothing is there twice."""

import multiprocessing
import os
import random
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from files.killing import DTYPES, make_batch, write_stream
from mimodaq.functions.files import open_events, recover

SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["files.killing", "pyarrow.parquet"])


def released(position: Path) -> int:
    return int.from_bytes(position.read_bytes(), "little")


def counters(run_dir: Path) -> list[int]:
    with open_events(run_dir) as events:
        return [int(number) for batch in events.batches() for number in batch.counter]


def counters_after_recovery(run_dir: Path, copy: Path) -> list[int]:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run_dir, copy)
    assert recover(copy).is_complete
    assert recover(copy).files == ()
    return counters(copy)


@pytest.mark.parametrize(("kind", "kills", "batches"), [("parquet", 24, 6), ("csv", 12, 25), ("tar", 6, 3)])
def test_a_killed_writer_loses_nothing_released_and_doubles_nothing(
    tmp_path: Path, kind: str, kills: int, batches: int
) -> None:
    chance = random.Random(kind)
    run_dir, position = tmp_path / "run", tmp_path / "position"
    run_dir.mkdir()
    position.write_bytes(bytes(8))

    for kill in range(kills):
        here, there = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=write_stream, args=(kind, run_dir, position, 10**9, there))
        process.start()
        there.close()
        for _ in range(chance.randrange(1, batches)):
            here.recv_bytes()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        here.close()
        stored = counters_after_recovery(run_dir, tmp_path / "copy")
        assert stored == list(range(len(stored))), f"after kill {kill}"
        assert len(stored) >= released(position), f"after kill {kill}"

    end = released(position) + 200
    here, there = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=write_stream, args=(kind, run_dir, position, end, there))
    process.start()
    there.close()
    with suppress(EOFError):
        while True:
            here.recv_bytes()
    process.join()
    assert process.exitcode == 0
    assert counters(run_dir) == list(range(end))
    with open_events(run_dir) as events:
        for batch in events.batches():
            expected = make_batch(DTYPES[kind], batch.counter).events
            for name in DTYPES[kind].names or ():
                assert (batch.events[name].astype(expected[name].dtype) == expected[name]).all()
