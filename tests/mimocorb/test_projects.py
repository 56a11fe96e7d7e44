"""Complete projects in the style of the manual run unmodified, and give the events that mimoCoRB gives.

The digests are those of the text files that mimoCoRB 1.0.2 (numpy 1.26.4, pandas 1.5.3) wrote for the same modules,
seed and number of events: rows sorted by counter, without the columns timestamp and deadtime.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from mimodaq.mimocorb.buffer_control import buffer_control

EVENTS = 400

EXPECTED: dict[str, tuple[str, dict[str, tuple[int, str]], int]] = {
    "spectrum": ("spectrum_setup.yaml", {"spectrum.txt": (386, "3d8f7bb0bf74934f")}, 0),
    "lifetime": ("simulsource_setup.yaml", {"simulated_lifetimes.txt": (25, "7250c9a3149788cf")}, 25),
    "spin": (
        "simul_spin_setup.yaml",
        {"decays_top.txt": (13, "18c963569ec4f9a4"), "decays_bottom.txt": (12, "f7ee6f6f23e38e27")},
        25,
    ),
}


def prepare(project: Path, setup: dict[str, Any]) -> None:
    """Limit the number of events and give the simulation a seed; nothing else is changed."""
    file = project / setup["Functions"][0]["Fkt_main"]["config_file"]
    config = yaml.safe_load(file.read_text())
    config["simul_source"].update(eventcount=EVENTS, sleeptime=0, seed=1)
    file.write_text(yaml.safe_dump(config))


def rows_and_digest(file: Path) -> tuple[int, str]:
    with file.open(newline="") as text:
        rows = sorted(list(csv.reader(text, delimiter="\t"))[1:], key=lambda row: int(row[0]))
    content = "\n".join("\t".join((row[0], *row[3:])) for row in rows)
    return len(rows), hashlib.sha256(content.encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_project_gives_the_events_of_mimocorb(
    name: str, projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, texts, waveforms = EXPECTED[name]
    shutil.copytree(projects / name, tmp_path / name)
    monkeypatch.chdir(tmp_path / name)
    monkeypatch.delenv("DISPLAY", raising=False)
    setup = yaml.safe_load(Path(file).read_text())
    prepare(tmp_path / name, setup)

    daq = buffer_control(setup["RingBuffer"], setup["Functions"], {}, "target/run/")
    daq.setup_buffers()
    daq.setup_workers()
    processes = daq.start_workers()
    for process in processes:
        process.join(60)
    assert {process.name: process.exitcode for process in processes if process.exitcode != 0} == {}
    for buffer in daq.ringbuffers.values():
        buffer.ring.verify()
    daq.shutdown()

    out = Path("target/run")
    assert {name: rows_and_digest(out / name) for name in texts} == texts
    if waveforms:
        with tarfile.open(out / "simulated_data.tar") as archive:
            assert len(archive.getnames()) == waveforms
    assert list(out.glob("waveforms_*.png"))
    assert list(out.glob("histograms_*.json"))
