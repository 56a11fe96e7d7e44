from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from files.conftest import SCALARS, WAVES, make_batch, split, write
from mimodaq.functions.files import Batch, CsvWriter, FilesError


def csv(path: Path, batches: list[Batch], **options: object) -> str:
    with CsvWriter(path, batches[0].events.dtype, **options) as writer:  # type: ignore[arg-type]
        for batch in batches:
            write(writer, batch)
    return path.read_text()


def test_a_line_per_event_with_metadata_first(tmp_path: Path) -> None:
    batch = make_batch(SCALARS, [1, 2])
    batch.events["height"][:, 0] = [0.1, 3.0]
    batch.events["position"][:, 0] = [-7, 12]
    batch.events["integral"][:, 0] = [1e-5, np.nan]
    batch.timestamp[:] = [1_716_123_456.123456, 1_716_123_457.5]
    batch.deadtime[:] = [-1, 0.25]
    assert csv(tmp_path / "x.csv", [batch]) == (
        "counter,timestamp,deadtime,height,position,integral\n"
        "1,1716123456.123456,-1.0,0.1,-7,1e-05\n"
        "2,1716123457.5,0.25,3.0,12,nan\n"
    )


def test_the_text_is_what_pandas_writes(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    batch = make_batch(SCALARS, range(500))
    batch.events["height"][:, 0] = generator.normal(size=500) * 10.0 ** generator.integers(-12, 12, 500)
    batch.events["integral"][:, 0] = generator.normal(size=500) * 10.0 ** generator.integers(-30, 30, 500)
    frame = pd.DataFrame(
        {"counter": batch.counter, "timestamp": batch.timestamp, "deadtime": batch.deadtime}
        | {name: batch.events[name][:, 0] for name in SCALARS.names or ()}
    )
    assert csv(tmp_path / "x.txt", [batch], separator="\t") == frame.to_csv(sep="\t", index=False)


def test_every_number_reads_back_exactly(tmp_path: Path) -> None:
    dtype = np.dtype([("f", "<f4", (1,)), ("d", "<f8", (1,)), ("u", "<u8", (1,)), ("h", "<f2", (1,)), ("b", "?", (1,))])
    generator = np.random.default_rng(2)
    batch = make_batch(dtype, range(300))
    batch.events["f"] = generator.normal(size=(300, 1)) * 1e-3
    batch.events["d"] = generator.normal(size=(300, 1)) * 1e30
    batch.events["u"] = np.uint64(2**64 - 1) - np.arange(300, dtype=np.uint64)[:, None]
    lines = [line.split(",") for line in csv(tmp_path / "x.csv", [batch]).splitlines()]
    columns = dict(zip(lines[0], zip(*lines[1:], strict=True), strict=True))
    parse: dict[str, Callable[[str], float]] = {"f": float, "d": float, "u": int, "h": float, "b": "True".__eq__}
    for name in dtype.names or ():
        found = np.array([parse[name](text) for text in columns[name]], dtype[name].base)
        assert np.array_equal(found, batch.events[name][:, 0]), name


def test_names_columns_and_their_order_are_chosen(tmp_path: Path) -> None:
    text = csv(
        tmp_path / "x.csv",
        [make_batch(SCALARS, [5])],
        columns=["position", "counter"],
        header_alias={"position": "decay_time_us"},
        separator=";",
    )
    assert text == f"decay_time_us;counter\n{make_batch(SCALARS, [5]).events['position'][0, 0]};5\n"


def test_the_same_events_give_the_same_bytes_in_any_order_and_batching(tmp_path: Path) -> None:
    batch = make_batch(SCALARS, range(1000))
    order = np.random.default_rng(1).permutation(1000)
    once = csv(tmp_path / "a.csv", [batch])
    mixed = Batch(*(values[order] for values in batch))
    assert csv(tmp_path / "b.csv", split(mixed, 1, 300, 5)) == once
    assert csv(tmp_path / "c.csv", [mixed], sort_by_counter=False) != once


def test_lines_are_in_the_file_before_the_events_are_released(tmp_path: Path) -> None:
    with CsvWriter(tmp_path / "x.csv", SCALARS) as writer:
        assert (tmp_path / "x.csv").read_text() == "counter,timestamp,deadtime,height,position,integral\n"
        writer.append(make_batch(SCALARS, [1]))
        assert len((tmp_path / "x.csv").read_text().splitlines()) == 2


def test_nothing_but_the_file_is_left(tmp_path: Path) -> None:
    csv(tmp_path / "x.csv", [make_batch(SCALARS, [2, 1])])
    csv(tmp_path / "y.csv", [make_batch(SCALARS, [])])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "y.csv"]


def test_waveforms_need_expand(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=r"chA \(8 samples\), chB \(8 samples\).*to_parquet"):
        CsvWriter(tmp_path / "x.csv", WAVES)
    text = csv(tmp_path / "y.csv", [make_batch(WAVES, [1])], expand=True, columns=["chB", "height"])
    assert text.splitlines()[0] == ",".join([*(f"chB[{i}]" for i in range(8)), "height"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": "--"}, "one character"),
        ({"header_alias": {"hgt": "h"}}, "hgt"),
        ({"header_alias": {"height": "position"}}, "position"),
        ({"header_alias": {"height": "a,b"}}, "a,b"),
        ({"columns": ["hgt"]}, "hgt"),
    ],
)
def test_wrong_options_say_what_is_right(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FilesError, match=message):
        CsvWriter(tmp_path / "x.csv", SCALARS, **options)
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_block_leaves_file_and_index(tmp_path: Path) -> None:
    writer = CsvWriter(tmp_path / "x.csv", SCALARS)
    writer.append(make_batch(SCALARS, [1]))
    with pytest.raises(ValueError, match="at most"), writer:
        writer.append(make_batch(SCALARS, range(writer.batch_events + 1)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_x.csv.index", "_x.csv.room", "x.csv"]
