"""An event in the ring must behave like the structured array it stands for, whatever a program does with it."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import recfunctions as rfn

from mimodaq.mimocorb._slots import Layout, SlotArray, event_dtype

ROWS = 50
DTYPE = [("chA", "f4"), ("chB", "f4"), ("chC", "i4")]


def events(dtype: Any = DTYPE, rows: int = ROWS) -> tuple[np.ndarray, Layout]:
    planar = event_dtype(dtype, rows)
    return np.zeros(3, planar), Layout(planar)


@pytest.fixture
def data() -> SlotArray:
    ring, layout = events()
    shown = layout.show(ring[1:2].view(np.uint8))
    random = np.random.default_rng(1)
    for name in shown.dtype.names:
        shown[name] = random.integers(-1000, 1000, ROWS)
    assert isinstance(shown, SlotArray)
    return shown


def test_it_is_the_memory_of_the_ring() -> None:
    ring, layout = events()
    shown = layout.show(ring[1:2].view(np.uint8))
    shown["chB"][:] = 7
    assert (ring["chB"][1] == 7).all()
    assert not ring["chB"][[0, 2]].any()
    assert layout.is_view


def test_a_channel_is_contiguous_and_plain(data: SlotArray) -> None:
    assert type(data["chB"]) is np.ndarray
    assert data["chB"].flags.c_contiguous
    assert data["chB"].shape == (ROWS,)


def test_shape_length_and_names_are_those_of_mimocorb(data: SlotArray) -> None:
    assert (data.shape, len(data), data.dtype.names) == ((ROWS,), ROWS, ("chA", "chB", "chC"))


def test_a_record_of_a_reader_is_shown_read_only() -> None:
    ring, layout = events()
    shown = layout.show(ring[1])
    with pytest.raises(ValueError, match="read-only"):
        shown["chA"][0] = 1


def test_the_dtype_of_the_setup_dictionary_is_a_list_of_names_and_types() -> None:
    _, layout = events()
    assert layout.dtype == [("chA", np.float32), ("chB", np.float32), ("chC", np.int32)]
    assert np.zeros((1,), dtype=layout.dtype).dtype.names == ("chA", "chB", "chC")


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": lambda d: d.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda d: pickle.loads(pickle.dumps(d)),
    "pickle 5": lambda d: pickle.loads(pickle.dumps(d, 5)),
    "numpy.copy": np.copy,
    "numpy.concatenate": lambda d: np.concatenate([d[:20], d[20:]]),
    "numpy.stack": lambda d: np.stack([d])[0],
    "flatten": lambda d: d.flatten(),
    "ravel": np.ravel,
    "list of rows": lambda d: d[list(range(ROWS))],
    "array of rows": lambda d: d[np.arange(ROWS)],
    "mask": lambda d: d[np.ones(ROWS, bool)],
    "take": lambda d: d.take(range(ROWS)),
    "repeat": lambda d: d.repeat(1),
    "astype": lambda d: d.astype([(n, d.dtype[n]) for n in d.dtype.names]),
    "repack_fields": rfn.repack_fields,
    "tobytes": lambda d: np.frombuffer(d.tobytes(), [(n, d.dtype[n]) for n in d.dtype.names]),
    "sort": lambda d: np.sort(d, order="chA")[np.argsort(np.argsort(d, order="chA"))],
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_an_ordinary_packed_array(data: SlotArray, how: str) -> None:
    copied = COPIES[how](data)
    assert type(copied) is np.ndarray
    assert copied.dtype.itemsize == 12
    assert copied.tolist() == data.tolist()
    assert not np.shares_memory(copied, data)


def test_an_array_made_of_it_is_correct_though_wasteful(data: SlotArray) -> None:
    assert np.array(data).tolist() == data.tolist()
    assert np.asarray(data).tolist() == data.tolist()


def test_copies_of_long_waveforms_do_not_allocate_the_gaps() -> None:
    ring, layout = events(rows=4250)
    shown = layout.show(ring[0:1].view(np.uint8))
    tracemalloc.start()
    for make in (shown.copy, lambda: pickle.dumps(shown), lambda: np.zeros_like(shown), lambda: shown[[1, 2]]):
        make()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * ring.dtype.itemsize


CHANGES: dict[str, Callable[[Any], Any]] = {
    "all zero": lambda d: d.__setitem__(slice(None), 0),
    "all one row": lambda d: d.__setitem__(slice(None), d[7].item()),
    "one row": lambda d: d.__setitem__(3, (1, 2, 3)),
    "one value": lambda d: d[3].__setitem__("chB", 17),
    "a slice": lambda d: d.__setitem__(slice(2, 5), d[10:13].copy()),
    "shifted into itself": lambda d: d.__setitem__(slice(1, None), d[:-1].copy()),
    "reversed": lambda d: d.__setitem__(slice(None), d[::-1].copy()),
    "rows by number": lambda d: d.__setitem__([5, 9], d[[1, 2]]),
    "rows by mask": lambda d: d.__setitem__(d["chA"] > 0, 0),
    "a channel of a slice": lambda d: d[::5]["chC"].__setitem__(slice(None), 4),
    "a channel of the whole": lambda d: d[:]["chA"].__setitem__(slice(None), range(ROWS)),
    "several channels": lambda d: d[["chA", "chC"]].__setitem__(slice(None), 0),
    "numpy.put": lambda d: np.put(d, [1, 2], d[[30, 31]]),
    "numpy.copyto": lambda d: np.copyto(d[4:7], d[20:23].copy()),
    "numpy.putmask": lambda d: np.putmask(d, d["chC"] > 0, d[8:9].copy()),
    "fill": lambda d: d.fill(3),
    "sort": lambda d: d.sort(order="chB"),
    "assign_fields_by_name": lambda d: rfn.assign_fields_by_name(d, np.ones(ROWS, [("chB", "f4")])),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_does_what_it_does_to_an_ordinary_array(data: SlotArray, what: str) -> None:
    ordinary = data.copy()
    CHANGES[what](ordinary)
    CHANGES[what](data)
    assert data.tolist() == ordinary.tolist()


def test_the_usual_ways_out_of_structured_arrays_work(data: SlotArray) -> None:
    table = rfn.structured_to_unstructured(data)
    assert table.shape == (ROWS, 3)
    assert (table[:, 1] == data["chB"]).all()
    assert rfn.structured_to_unstructured(data[5]).tolist() == list(data[5])
    assert rfn.append_fields(data, "n", np.arange(ROWS), usemask=False)["n"][-1] == ROWS - 1
    assert (data == data.copy()).all()


def test_a_data_frame_can_be_made_of_it(data: SlotArray) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(data=data)
    assert list(frame.columns) == ["chA", "chB", "chC"]
    assert frame["chC"].tolist() == data["chC"].tolist()


def test_a_file_holds_the_packed_array(data: SlotArray, tmp_path: Path) -> None:
    np.save(tmp_path / "event.npy", data)
    data.tofile(tmp_path / "event.raw")
    assert np.load(tmp_path / "event.npy").tolist() == data.tolist()
    assert (tmp_path / "event.raw").stat().st_size == 12 * ROWS


def test_a_view_with_another_type_is_refused_instead_of_wrong(data: SlotArray) -> None:
    with pytest.raises(ValueError, match="contiguous"):
        data.view("f4")


def test_one_row_needs_no_special_array() -> None:
    mixed = [("n", "i2"), ("x", "f8")]
    ring, layout = events(mixed, rows=1)
    shown = layout.show(ring[2:3].view(np.uint8))
    shown[0] = (5, 2.5)
    assert type(shown) is np.ndarray
    assert (ring["n"][2], ring["x"][2]) == ([5], [2.5])


def test_rows_of_mixed_sizes_are_copied_in_and_out() -> None:
    mixed = [("n", "i2"), ("x", "f8")]
    ring, layout = events(mixed)
    assert not layout.is_view
    written = layout.show(ring[0:1].view(np.uint8))
    written["n"], written["x"] = np.arange(ROWS), np.arange(ROWS) / 4
    layout.store(written, ring[0:1])
    read = layout.show(ring[0])
    assert read.tolist() == [(i, i / 4) for i in range(ROWS)]
    assert (ring["x"][0] == np.arange(ROWS) / 4).all()


def test_a_plain_type_has_no_names() -> None:
    planar = event_dtype(np.int16, 4)
    layout = Layout(planar, plain=True)
    ring = np.zeros(1, planar)
    layout.show(ring.view(np.uint8))[:] = [1, 2, 3, 4]
    assert layout.dtype == np.int16
    assert ring["data"].tolist() == [[1, 2, 3, 4]]


def test_fields_of_different_length_are_refused_with_the_reason() -> None:
    with pytest.raises(TypeError, match="same number of samples"):
        Layout(np.dtype([("a", "f4", (3,)), ("b", "f4", (1,))]))


@pytest.mark.parametrize("dtype", ["O", [("a", "f4", (3,))], [("a", [("b", "f4")])]])
def test_a_type_that_is_no_single_number_is_refused(dtype: Any) -> None:
    with pytest.raises(TypeError, match="such as float32"):
        event_dtype(dtype, 3)


@pytest.mark.parametrize(("dtype", "rows"), [("f4", 0), (np.dtype([]), 1)])
def test_an_event_without_content_is_refused(dtype: Any, rows: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        event_dtype(dtype, rows)
