"""The first experiment in the README works as it is printed there."""

import re
from pathlib import Path

import pandas as pd

README = Path(__file__).parents[2] / "README.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_first_own_experiment_runs(mimodaq, tmp_path):
    (python,), (setup, _) = blocks("python"), blocks("yaml")
    (tmp_path / "pulses.py").write_text(python)
    (tmp_path / "setup.yaml").write_text(setup)
    mimodaq("check", "setup.yaml")
    result = mimodaq.run("setup.yaml")
    assert result["verdict"] == "good"
    table = pd.read_csv(result["files"]["RB_2"][0])
    assert len(table) == result["buffers"]["RB_2"]["events"] > 0
    assert len(python.splitlines()) + len(setup.splitlines()) <= 22
