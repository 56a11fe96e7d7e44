import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from files.conftest import SCALARS, WAVES, assert_same, make_batch, write
from mimodaq.functions import FunctionIO, check_options
from mimodaq.functions.files import Batch, CsvWriter, DatasetWriter, FilesError, MismatchError, replay
from mimodaq.ring import Ring

MakeIO = Callable[..., FunctionIO]
MakeRing = Callable[..., Ring]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    with DatasetWriter(tmp_path / "RB_1", WAVES) as writer:
        write(writer, make_batch(WAVES, range(100, 150)))
    return tmp_path / "RB_1"


@pytest.fixture
def replayed(make_io: MakeIO, make_ring: MakeRing) -> Callable[..., Batch]:
    """Replay into a ring by the given number of processes, one after the other, and read what is in it then."""

    def run(dtype: np.dtype[Any], processes: int = 1, about: dict[str, Any] | None = None, **options: Any) -> Batch:
        ring = make_ring(dtype, slots=512, writers=processes)
        reader = ring.reader("g")
        for process in range(processes):
            writer = ring.writer()
            io = make_io(writers=[writer], process=process, processes=processes, **(about or {}))
            replay(io, **options)
            writer.close()
        taken = []
        while (batch := reader.take(512)) is not None:
            taken.append(Batch(*(values.copy() for values in batch)))
            reader.release()
        reader.close()
        empty = make_batch(dtype, [])
        return Batch(*(np.concatenate(columns) for columns in zip(empty, *taken, strict=True)))

    return run


def test_a_dataset_comes_back_with_its_metadata(recorded: Path, replayed: Callable[..., Batch]) -> None:
    assert_same(replayed(WAVES, input=str(recorded)), make_batch(WAVES, range(100, 150)))


def test_a_relative_path_starts_at_the_setup(recorded: Path, replayed: Callable[..., Batch]) -> None:
    assert len(replayed(WAVES, input="RB_1").counter) == 50


def test_the_run_record_is_told_how_many(recorded: Path, make_io: MakeIO, make_ring: MakeRing) -> None:
    writer = make_ring(WAVES).writer()
    io = make_io(writers=[writer])
    replay(io, input="RB_1")
    assert io.figures == {"events_replayed": 50, "events_skipped": 0}


def test_start_and_count_choose_events(recorded: Path, replayed: Callable[..., Batch]) -> None:
    assert replayed(WAVES, input="RB_1", start=10, count=3).counter.tolist() == [110, 111, 112]
    assert replayed(WAVES, input="RB_1", start=48, count=9).counter.tolist() == [148, 149]
    assert replayed(WAVES, input="RB_1", start=500).counter.tolist() == []


def test_several_processes_share_the_events(tmp_path: Path, replayed: Callable[..., Batch]) -> None:
    dtype = np.dtype([("chA", "<f4", (100_000,))])
    with DatasetWriter(tmp_path / "big", dtype) as writer:
        write(writer, make_batch(dtype, range(45)))
    found = replayed(dtype, processes=2, input="big")
    assert found.counter.tolist() == [*range(10), *range(20, 30), *range(40, 45), *range(10, 20), *range(30, 40)]
    assert np.array_equal(found.events["chA"], make_batch(dtype, found.counter).events["chA"])


def test_repetitions_go_on_counting(recorded: Path, replayed: Callable[..., Batch]) -> None:
    found = replayed(WAVES, input="RB_1", count=4, repeat=3)
    assert found.counter.tolist() == list(range(100, 112))
    assert np.allclose(np.diff(found.timestamp), 0.125)
    assert np.array_equal(found.events["chA"][4:8], found.events["chA"][:4])


def test_endless_repetition_ends_when_the_run_is_stopped(recorded: Path, replayed: Callable[..., Batch]) -> None:
    asked = iter([False, False, True])
    found = replayed(WAVES, input="RB_1", repeat=0, about={"is_stopping": lambda: next(asked)})
    assert len(found.counter) == 150


@pytest.mark.parametrize(
    "options", [{"speed": "recorded"}, {"speed": 0.5}, {"rate": 0.001}], ids=["recorded", "slower", "rate"]
)
def test_a_wait_for_the_next_event_ends_when_the_run_is_stopped(
    tmp_path: Path, replayed: Callable[..., Batch], options: dict[str, Any]
) -> None:
    batch = make_batch(WAVES, [1, 2])
    batch.timestamp[:] = [1000.0, 2000.0]
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(batch)
    found = replayed(WAVES, input="x", about={"is_stopping": lambda: True}, **options)
    assert found.counter.tolist() == [1]


@pytest.mark.parametrize("options", [{"speed": 1e9}, {"speed": "1e9"}, {"rate": 1e9}])
def test_a_schedule_changes_no_event(recorded: Path, replayed: Callable[..., Batch], options: dict[str, Any]) -> None:
    assert_same(replayed(WAVES, input="RB_1", **options), make_batch(WAVES, range(100, 150)))


def test_text_fits_after_naming_and_casting(tmp_path: Path, replayed: Callable[..., Batch]) -> None:
    batch = make_batch(SCALARS, range(5))
    with CsvWriter(tmp_path / "x.csv", SCALARS, header_alias={"height": "h"}) as writer:
        writer.append(batch)
    found = replayed(SCALARS, input="x.csv", channels={"height": "h"}, cast="same_kind")
    assert_same(found, batch)


def test_whole_numbers_are_scaled_to_volts(tmp_path: Path, replayed: Callable[..., Batch]) -> None:
    volts = np.dtype([("chA", "<f4", (4,)), ("chB", "<f4", (4,))])
    adc = np.arange(16, dtype="<i2").reshape(2, 2, 4)
    np.save(tmp_path / "adc.npy", adc)
    found = replayed(volts, input="adc.npy", scale={"chA": 0.001})
    assert np.allclose(found.events["chA"], adc[:, 0] * 0.001)
    assert np.array_equal(found.events["chB"], adc[:, 1])
    assert found.counter.tolist() == [0, 1]
    assert found.timestamp.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("dtype", "options", "message"),
    [
        ([("chA", "<f4", (9,))], {}, "field `chA`: expected 9 samples, found 8 samples"),
        ([("chA", "<i2", (8,))], {}, "field `chA`: expected int16, found float32"),
        ([("chA", "<f2", (8,))], {}, "field `chA`: expected float16, found float32.*same_kind"),
        ([("chB", "<i2", (8,))], {"scale": 2}, "field `chB`: expected int16, found int16"),
        ([("chX", "<f4", (8,))], {}, "field `chX`: expected in column `chX`, found chA, chB, height"),
        ([("chA", "<f4", (8,))], {"channels": {"chA": "chC"}}, "expected in column `chC`"),
    ],
)
def test_what_does_not_fit_is_told_before_the_first_event(
    recorded: Path, replayed: Callable[..., Batch], dtype: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MismatchError, match=message):
        replayed(np.dtype(dtype), input="RB_1", **options)


def test_all_that_does_not_fit_is_told_at_once(recorded: Path, replayed: Callable[..., Batch]) -> None:
    with pytest.raises(MismatchError, match=r"`chA`.*`chX`"):
        replayed(np.dtype([("chA", "<f4", (9,)), ("chX", "<f4", (8,))]), input="RB_1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": "slow"}, "`full`, `recorded` or a factor"),
        ({"speed": -1}, "`full`, `recorded` or a factor"),
        ({"channels": {"chQ": "chA"}}, "chQ"),
        ({"input": "nothing.parquet"}, "no such file"),
    ],
)
def test_wrong_options_say_what_is_right(
    recorded: Path, replayed: Callable[..., Batch], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(FilesError, match=message):
        replayed(WAVES, **({"input": "RB_1"} | options))


def test_recorded_speed_needs_timestamps(tmp_path: Path, replayed: Callable[..., Batch]) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 8), "f4"))
    with pytest.raises(FilesError, match=r"no timestamps.*`rate`"):
        replayed(np.dtype([("chA", "<f4", (8,))]), input="x.npy", speed="recorded")


def test_columns_that_are_not_replayed_are_logged(
    recorded: Path, replayed: Callable[..., Batch], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        replayed(np.dtype([("chA", "<f4", (8,))]), input="RB_1")
    assert "columns not replayed: chB, height" in caplog.text


def test_the_real_events_come_through_unchanged(replayed: Callable[..., Batch]) -> None:
    path = Path(__file__).parents[3] / "shared" / "data" / "muon_panels_2018.parquet"
    if not path.exists():
        pytest.skip("the recorded events are not beside this checkout")
    dtype = np.dtype([("chA", "<f4", (4000,)), ("chB", "<f4", (4000,))])
    found = replayed(dtype, input=str(path), start=900)
    assert found.counter.tolist() == list(range(900, 1012))
    assert found.events["chA"].min() < -0.035


def test_every_option_is_known_to_the_runtime() -> None:
    assert check_options(replay, {"input": "x", "speed": 2.0, "repeat": 0, "cast": "same_kind"}) == []
    assert [problem.option for problem in check_options(replay, {"input": "x", "sped": "full"})] == ["sped"]
    assert next(iter(inspect.signature(replay).parameters)) == "io"
