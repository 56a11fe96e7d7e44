import io
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from files.conftest import WAVES, make_batch
from mimodaq.functions.files import FilesError, TarWriter

CHANNELS = np.dtype([("chA", "<f4", (50,)), ("chB", "<i2", (50,))])


def test_a_member_per_event_with_a_row_per_sample(tmp_path: Path) -> None:
    batch = make_batch(CHANNELS, [12, 3])
    with TarWriter(tmp_path / "double_pulses.tar", CHANNELS) as writer:
        writer.append(batch)
    with tarfile.open(tmp_path / "double_pulses.tar") as archive:
        assert archive.getnames() == ["double_pulses_3.parquet", "double_pulses_12.parquet"]
        member = archive.extractfile("double_pulses_12.parquet")
        assert member is not None
        frame = pd.read_parquet(io.BytesIO(member.read()))
        assert archive.getmember("double_pulses_12.parquet").mtime == int(batch.timestamp[0])
    assert list(frame.columns) == ["chA", "chB"]
    assert list(frame.dtypes) == [np.float32, np.int16]
    assert np.array_equal(frame["chA"].to_numpy(), batch.events["chA"][0])


def test_fields_of_different_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=r"chA \(8\), chB \(8\), height \(1\)"):
        TarWriter(tmp_path / "x.tar", WAVES)
