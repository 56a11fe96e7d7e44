"""The notebook in the documentation is carried out as it stands."""

import json
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

NOTEBOOK = Path(__file__).parents[2] / "docs" / "muon_lifetime.ipynb"


def test_the_notebook_of_the_documentation_finds_the_lifetime(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = json.loads(NOTEBOOK.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells), "clear all outputs"
    world = {}
    for number, cell in enumerate(cells):
        exec(compile("".join(cell["source"]), f"{NOTEBOOK.name}, code cell {number}", "exec"), world)
    world["plt"].close("all")
    run, result = world["run"], world["result"]
    assert run.verdict == "good"
    assert run.record["buffers"]["RB_1"]["events"] == world["EVENTS"]
    assert abs(result.tau - 2197) < 5 * result.tau_err
    assert result.tau_err < 300
    assert "lifetime (" in capsys.readouterr().out
