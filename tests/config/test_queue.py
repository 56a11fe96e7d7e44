"""Files that list runs with changed parameters."""

import pytest

from mimodaq.config import QueuedRun, SetupErrors, load_queue


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "queue.yaml"
        path.write_text(text)
        return load_queue(path)

    return load


def test_every_combination_is_a_run_and_the_last_key_changes_fastest(load):
    spec = load("events: 100\nvary:\n  Fkt_1.config.rate: [10, 20]\n  Fkt_2.config.on: [true, false]\n  x: 1\n")
    assert [(r.changes["Fkt_1.config.rate"], r.changes["Fkt_2.config.on"]) for r in spec.runs] == [
        (10, True), (10, False), (20, True), (20, False),
    ]  # fmt: skip
    assert spec.runs[0].overrides() == ["runevents=100", "Fkt_1.config.rate=10", "Fkt_2.config.on=true", "x=1"]


def test_a_list_of_runs_has_its_own_limits_and_names(load, tmp_path):
    spec = load("setup: sub/my.yaml\nduration: 10 min\nruns:\n  - {name: dark, events: 5}\n  - {x: [1, 2]}\n")
    assert spec.setup == tmp_path / "sub" / "my.yaml"
    assert spec.runs == (
        QueuedRun({"runtime": 600.0, "runevents": 5}, "dark"),
        QueuedRun({"runtime": 600.0, "x": [1, 2]}),
    )
    assert [str(run) for run in spec.runs] == ["dark: runtime=600.0, runevents=5", "runtime=600.0, x=[1, 2]"]


def test_without_a_list_it_is_one_run(load):
    spec = load("events: 5\n")
    assert spec.runs == (QueuedRun({"runevents": 5}),)
    assert (spec.not_good, spec.attempts, spec.setup.name) == ("repeat", 2, "setup.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("varry: {}\n", "queue.yaml:1: unknown key 'varry' (did you mean 'vary'?)"),
        (
            "vary: {x: 1}\nnot_good: reepat\n",
            "queue.yaml:2: not_good: one of repeat, mark, stop, found 'reepat' (did you",
        ),
        ("attempts: 0\n", "queue.yaml:1: attempts must be at least 1, found 0"),
        ("vary:\n  a: [1]\n  b: []\n", "queue.yaml:3: vary.b: an empty list leaves no run"),
        ("runs:\n  - {name: 5}\n", "queue.yaml:2: runs: expected a name, found 5"),
        ("runs: [3]\n", "queue.yaml:1: runs.0: expected a mapping of 'key: value' lines, found 3"),
    ],
)
def test_mistakes_are_named_with_their_line(load, text, problem, tmp_path):
    with pytest.raises(SetupErrors) as caught:
        load(text)
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(problem)


def test_a_file_that_is_not_there(tmp_path):
    (tmp_path / "queue.yaml").write_text("events: 1\n")
    with pytest.raises(SetupErrors, match=r"there is no such file \(did you mean '.*queue.yaml'"):
        load_queue(tmp_path / "quee.yaml")
