"""The directory of a run: its name and number, what is put into it, and when it is refused."""

import multiprocessing
from dataclasses import replace
from datetime import datetime

import pytest

from mimodaq.config import load_setup
from mimodaq.node import RECORD, RESOLVED, RunDirectoryError
from mimodaq.node._rundir import keep_setup, make_run_directory, next_run_number

NOW = datetime(2026, 11, 22, 15, 7)


def filled(setup, directory=None):
    made = make_run_directory(setup, directory, NOW).path
    keep_setup(setup, made)
    return made


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
    assert make_run_directory(setup, None, NOW).path == setup.folder / "out" / "demo_2026-11-22_1507"


def test_runs_in_the_same_minute_get_a_number(setup):
    made = [make_run_directory(setup, None, NOW).path.name for _ in range(3)]
    assert made == ["demo_2026-11-22_1507", "demo_2026-11-22_1507-2", "demo_2026-11-22_1507-3"]


def test_it_holds_everything_that_makes_the_run_repeatable(setup, write):
    write("common.yaml", "numbers: {n: 3}\n")
    setup = replace(setup, config_files=(setup.folder / "common.yaml",))
    made = filled(setup)
    assert names(made) == ["common.yaml", "demo_setup.yaml", "modules/helper.py", "modules/own.py", RESOLVED]
    again = load_setup(made / RESOLVED)
    assert again.functions["Fkt_1"].source_file == made / "modules/own.py"
    assert again.functions["Fkt_3"].config == {"filename": "x"}
    assert again.buffers == setup.buffers


def test_modules_from_elsewhere_are_kept_and_found(setup, write, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("shared")
    (elsewhere / "own.py").write_text("def source(): yield 2\n")
    text = setup.path.read_text().replace('"modules/own.py:source"', f'"{elsewhere}/own.py:source"')
    made = filled(load_setup(write("x.yaml", text)))
    kept = load_setup(made / RESOLVED).functions["Fkt_1"].source_file
    assert kept == made / elsewhere.name / "own.py"
    assert kept.read_text() == "def source(): yield 2\n"


def test_a_resolved_setup_can_be_run_itself(setup):
    first = filled(setup)
    second = filled(load_setup(first / RESOLVED))
    assert (second / RESOLVED).read_text() == (first / RESOLVED).read_text()


def test_the_resolved_setup_says_what_is_started_again(setup):
    again = load_setup(filled(setup) / RESOLVED)
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
    (made.path / RECORD).write_text("{}")
    made.remove()
    assert names(made.path) == ["notes.txt"]


def test_a_directory_that_was_made_goes_with_what_is_in_it(setup, tmp_path):
    made = make_run_directory(setup, tmp_path / "deep" / "new", NOW)
    keep_setup(setup, made.path)
    made.remove()
    assert not made.path.exists()


def test_a_file_that_cannot_be_kept_is_named(setup):
    with pytest.raises(RunDirectoryError, match=r"preparing the run directory, .*gone.yaml: No such file"):
        filled(replace(setup, config_files=(setup.folder / "gone.yaml",)))


def test_a_place_that_is_a_file_is_refused(setup, write):
    with pytest.raises(RunDirectoryError, match="File exists"):
        make_run_directory(setup, write("mine", ""), NOW)
