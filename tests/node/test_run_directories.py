"""The directory of a run: its name and number, what is put into it, and when it is refused."""

import multiprocessing
from dataclasses import replace
from datetime import datetime

import pytest

from mimodaq.config import load_setup
from mimodaq.node import RECORD, RESOLVED, RunDirectoryError
from mimodaq.node._rundir import make_run_directory, next_run_number, remove_run_directory

NOW = datetime(2026, 11, 22, 15, 7)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_numbers_count_up_and_outlive_the_directories(tmp_path):
    assert [next_run_number(tmp_path / "a" / "b") for _ in range(3)] == [1, 2, 3]


def test_no_number_is_given_twice(tmp_path):
    with multiprocessing.get_context("forkserver").Pool(4) as pool:
        numbers = pool.map(next_run_number, [tmp_path] * 40)
    assert sorted(numbers) == list(range(1, 41))


def test_a_damaged_number_is_named(tmp_path):
    (tmp_path / ".run_number").write_text("seven")
    with pytest.raises(RunDirectoryError, match="should hold the number of the last run, found 'seven': correct it"):
        next_run_number(tmp_path)


def test_the_name_is_the_ancestors(setup):
    assert make_run_directory(setup, None, NOW) == setup.folder / "out" / "demo_2026-11-22_1507"


def test_runs_in_the_same_minute_get_a_number(setup):
    made = [make_run_directory(setup, None, NOW).name for _ in range(3)]
    assert made == ["demo_2026-11-22_1507", "demo_2026-11-22_1507-2", "demo_2026-11-22_1507-3"]


def test_it_holds_everything_that_makes_the_run_repeatable(setup, write):
    write("common.yaml", "numbers: {n: 3}\n")
    setup = replace(setup, config_files=(setup.folder / "common.yaml",))
    made = make_run_directory(setup, None, NOW)
    assert names(made) == ["common.yaml", "demo_setup.yaml", "modules/helper.py", "modules/own.py", RESOLVED]
    again = load_setup(made / RESOLVED)
    assert again.functions["Fkt_1"].source_file == made / "modules/own.py"
    assert again.functions["Fkt_3"].config == {"filename": "x"}
    assert again.buffers == setup.buffers


def test_modules_from_elsewhere_are_kept_and_found(setup, write, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("shared")
    (elsewhere / "own.py").write_text("def source(): yield 2\n")
    text = setup.path.read_text().replace('"modules/own.py:source"', f'"{elsewhere}/own.py:source"')
    made = make_run_directory(load_setup(write("x.yaml", text)), None, NOW)
    kept = load_setup(made / RESOLVED).functions["Fkt_1"].source_file
    assert kept == made / elsewhere.name / "own.py"
    assert kept.read_text() == "def source(): yield 2\n"


def test_a_resolved_setup_can_be_run_itself(setup):
    first = make_run_directory(setup, None, NOW)
    second = make_run_directory(load_setup(first / RESOLVED), None, NOW)
    assert (second / RESOLVED).read_text() == (first / RESOLVED).read_text()


def test_the_resolved_setup_says_what_is_started_again(setup):
    again = load_setup(make_run_directory(setup, None, NOW) / RESOLVED)
    assert {name: function.restart for name, function in again.functions.items()} == {
        "Fkt_1": False,
        "Fkt_2": True,
        "Fkt_3": True,
        "Fkt_4": True,
    }


def test_a_directory_of_the_users_choice_keeps_what_is_in_it(setup, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    made = make_run_directory(setup, tmp_path / "mine", NOW)
    assert (made / "notes.txt").read_text() == "x"
    remove_run_directory(made, whole=False)
    assert (made / "notes.txt").exists()
    assert not (made / RECORD).exists()


def test_a_directory_that_holds_a_run_is_refused(setup, tmp_path):
    make_run_directory(setup, tmp_path / "mine", NOW)
    with pytest.raises(RunDirectoryError, match="mine holds a run already and is not overwritten"):
        make_run_directory(setup, tmp_path / "mine", NOW)


def test_a_directory_that_cannot_be_filled_is_removed_again(setup, tmp_path):
    broken = replace(setup, config_files=(setup.folder / "gone.yaml",))
    for directory in (None, tmp_path / "new"):
        with pytest.raises(RunDirectoryError, match=r"preparing the run directory, .*gone.yaml: No such file"):
            make_run_directory(broken, directory, NOW)
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "new").exists()


def test_a_place_that_is_a_file_is_refused(setup, write):
    with pytest.raises(RunDirectoryError, match="File exists"):
        make_run_directory(setup, write("mine", ""), NOW)
