from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from files.conftest import WAVES, make_batch, split, write
from mimodaq.functions.files import Batch, DatasetWriter


def written(folder: Path, batches: list[Batch], **options: object) -> bytes:
    with DatasetWriter(folder, batches[0].events.dtype, **options) as writer:  # type: ignore[arg-type]
        for batch in batches:
            write(writer, batch)
    return (folder / f"{folder.name}-0000.parquet").read_bytes()


def shuffled(batch: Batch, seed: int) -> Batch:
    order = np.random.default_rng(seed).permutation(len(batch.counter))
    return Batch(*(values[order] for values in batch))


def test_the_same_events_give_the_same_bytes_in_any_order_and_batching(tmp_path: Path) -> None:
    batch = make_batch(WAVES, range(3000))
    once = written(tmp_path / "a" / "x", [batch])
    assert written(tmp_path / "b" / "x", split(batch, 1, 7, 500, 1)) == once
    assert written(tmp_path / "c" / "x", split(shuffled(batch, 1), 1000, 3)) == once
    assert written(tmp_path / "d" / "x", split(shuffled(batch, 2), 2)) == once


def test_several_row_groups_do_not_depend_on_batches_either(tmp_path: Path) -> None:
    dtype = np.dtype([("chA", "<f4", (100_000,))])
    batch = make_batch(dtype, range(200))
    once = written(tmp_path / "a" / "x", [batch])
    assert written(tmp_path / "b" / "x", [shuffled(batch, 5)]) == once
    assert pq.read_metadata(tmp_path / "a" / "x" / "x-0000.parquet").num_row_groups == 3


def test_events_with_one_counter_are_sorted_by_time_then_kept_in_order_of_arrival(tmp_path: Path) -> None:
    batch = make_batch(WAVES, [5, 5, 5, 4])
    batch.timestamp[:] = [2.0, 1.0, 1.0, 9.0]
    batch.events["height"][:, 0] = [20, 10, 11, 90]
    written(tmp_path / "x", [batch])
    assert pq.read_table(tmp_path / "x" / "x-0000.parquet")["height"].to_pylist() == [90, 10, 11, 20]


def test_without_sorting_the_order_of_arrival_stays(tmp_path: Path) -> None:
    written(tmp_path / "x", [make_batch(WAVES, [3, 1, 2])], sort_by_counter=False)
    assert pq.read_table(tmp_path / "x" / "x-0000.parquet")["counter"].to_pylist() == [3, 1, 2]


def test_samples_of_few_values_are_stored_with_a_dictionary_and_noise_without(tmp_path: Path) -> None:
    dtype = np.dtype([("adc", "<f4", (500,)), ("noise", "<f4", (500,))])
    batch = make_batch(dtype, range(400))
    generator = np.random.default_rng(3)
    batch.events["adc"] = generator.integers(0, 256, (400, 500)) / 256
    batch.events["noise"] = generator.normal(size=(400, 500))
    written(tmp_path / "x", [batch])
    group = pq.read_metadata(tmp_path / "x" / "x-0000.parquet").row_group(0)
    has = {group.column(i).path_in_schema: group.column(i).has_dictionary_page for i in range(group.num_columns)}
    assert has["adc.list.element"]
    assert not has["noise.list.element"]


def test_a_lone_counter_column_dataset_of_nothing_but_scalars_keeps_all_values(tmp_path: Path) -> None:
    dtype = np.dtype([("x", "<i8", (1,))])
    batch = make_batch(dtype, range(10))
    batch.events["x"][:, 0] = np.arange(10) * 2**60 // 10
    written(tmp_path / "x", [batch])
    table = pq.read_table(tmp_path / "x" / "x-0000.parquet")
    assert table["x"].to_pylist() == batch.events["x"][:, 0].tolist()
