"""rb_toTxtfile and rb_toParquetfile write the files of mimoCoRB."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mimodaq.mimocorb.buffer_control import rb_toParquetfile, rb_toTxtfile
from mimodaq.mimocorb.mimo_buffer import NewBuffer, Writer

SCALARS = [("height", "f4"), ("position", "i4"), ("area", "f8")]


def ended(dtype: Any, rows: int, events: list[Any]) -> tuple[NewBuffer, list[dict[str, Any]]]:
    buffer = NewBuffer(8, rows, dtype)
    group = buffer.new_reader_group()
    sink = Writer(buffer.new_writer())
    for number, event in enumerate(events):
        sink.get_new_buffer()[:] = event
        sink.set_metadata(number + 1, 1795358911.3124118 + number, 0.27879677182685253)
    sink.process_buffer()
    del sink
    buffer.set_ending()
    return buffer, [group]


def config(folder: Path, **more: Any) -> dict[str, Any]:
    return {"directory_prefix": f"{folder}/", "filename": "pulses", **more}


def test_text_is_tab_separated_with_a_header_and_every_digit(tmp_path: Path) -> None:
    buffer, source = ended(SCALARS, 1, [(225.1505, 100, 0.1), (np.nan, -1, 4.4459625e-08)])
    rb_toTxtfile(source_list=source, config_dict=config(tmp_path), RB_3="read")()
    assert (tmp_path / "pulses.txt").read_text() == (
        "counter\ttimestamp\tdeadtime\theight\tposition\tarea\n"
        "1\t1795358911.3124118\t0.27879677182685253\t225.1505\t100\t0.1\n"
        "2\t1795358912.3124118\t0.27879677182685253\tnan\t-1\t4.4459625e-08\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["pulses.txt"]
    assert buffer.buffer_status()[1] == 0


def test_the_header_uses_the_aliases_and_ignores_those_of_other_fields(tmp_path: Path) -> None:
    _, source = ended(SCALARS, 1, [])
    alias = {"counter": "event id", "height": "1st chA height", "chD": "not here"}
    rb_toTxtfile(source_list=source, config_dict=config(tmp_path, header_alias=alias), RB_3="read")()
    assert (tmp_path / "pulses.txt").read_text() == "event id\ttimestamp\tdeadtime\t1st chA height\tposition\tarea\n"


def test_the_header_is_there_before_the_first_event(tmp_path: Path) -> None:
    _, source = ended(SCALARS, 1, [(1, 2, 3)])
    saver = rb_toTxtfile(source_list=source, config_dict=config(tmp_path), RB_3="read")
    assert (tmp_path / "pulses.txt").read_text().startswith("counter\t")
    saver()


def test_waveforms_are_no_lines_of_text(tmp_path: Path) -> None:
    _, source = ended([("chA", "f4")], 100, [])
    with pytest.raises(ValueError, match="channel_per_slot 1, this one has 100: use rb_toParquetfile"):
        rb_toTxtfile(source_list=source, config_dict=config(tmp_path), RB_2="read")


@pytest.mark.parametrize("kind", [rb_toTxtfile, rb_toParquetfile])
def test_a_missing_file_name_is_named(kind: Any, tmp_path: Path) -> None:
    _, source = ended(SCALARS, 1, [])
    with pytest.raises(ValueError, match="needs the key 'filename'"):
        kind(source_list=source, config_dict={"directory_prefix": str(tmp_path)}, RB_3="read")
    with pytest.raises(ValueError, match="no source_list"):
        kind(config_dict=config(tmp_path))


def test_the_tar_holds_one_parquet_file_an_event(tmp_path: Path) -> None:
    waves = [np.arange(5) + 10 * k for k in range(3)]
    events = [np.array(list(zip(wave, -wave, strict=True)), [("chA", "f4"), ("chB", "f4")]) for wave in waves]
    _, source = ended([("chA", "f4"), ("chB", "f4")], 5, events)
    rb_toParquetfile(source_list=source, config_dict=config(tmp_path), RB_2="read")()
    with tarfile.open(tmp_path / "pulses.tar", "r:") as archive:
        assert archive.getnames() == [f"pulses_{k}.parquet" for k in (1, 2, 3)]
        for k, member in enumerate(archive):
            file = archive.extractfile(member)
            assert file is not None
            table = pq.read_table(io.BytesIO(file.read()))
            assert table.column("chA").to_pylist() == waves[k].tolist()
            assert table.column("chB").to_pylist() == (-waves[k]).tolist()


def test_old_programs_can_read_the_tar_with_pandas(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    _, source = ended([("chA", "f4")], 5, [7])
    rb_toParquetfile(source_list=source, config_dict=config(tmp_path), RB_2="read")()
    with tarfile.open(tmp_path / "pulses.tar", "r:*") as archive:
        member = archive.next()
        assert member is not None
        frame = pd.read_parquet(archive.extractfile(member))
    assert frame["chA"].to_numpy().tolist() == [7] * 5
    assert list(frame.columns) == ["chA"]


def test_a_file_that_is_there_already_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "pulses.txt").write_text("from another run\n")
    _, source = ended(SCALARS, 1, [(1, 2, 3)])
    with pytest.raises(Exception, match=r"pulses\.txt"):
        rb_toTxtfile(source_list=source, config_dict=config(tmp_path), RB_3="read")()
    assert (tmp_path / "pulses.txt").read_text() == "from another run\n"
