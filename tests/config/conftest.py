"""A project folder to write setup files into and load them from."""

import textwrap
from pathlib import Path

import pytest

from mimodaq.config import Setup, SetupErrors, load_setup

GOOD = """\
RingBuffer:
  - RB_1:
      number_of_slots: 8
      channel_per_slot: 100
      data_type: {1: [chA, float32], 2: [chB, float32]}
  - RB_2:
      number_of_slots: 4
      data_type: {1: [height, float32]}
Functions:
  - Fkt_1:
      function: simulate
      RB_assign: {RB_1: write}
  - Fkt_2:
      file_name: modules/peaks
      fkt_name: find_peaks
      num_process: 2
      config: {threshold: 0.1}
      RB_assign: {RB_1: read, RB_2: write}
  - Fkt_3:
      function: drain
      RB_assign: {RB_2: read}
"""


class Project:
    """The current directory, with a setup that can be changed line by line."""

    good = GOOD

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def load(self, text: str | None = None, *overrides: str) -> Setup:
        if text is not None:
            self.write("setup.yaml", text)
        return load_setup("setup.yaml", overrides)

    def problems(self, text: str | None = None, *overrides: str) -> list[str]:
        """The lines that loading the setup prints; fails if it loads."""
        with pytest.raises(SetupErrors) as caught:
            self.load(text, *overrides)
        lines = str(caught.value).splitlines()
        assert lines == [str(problem) for problem in caught.value.problems]
        return lines

    def changed(self, old: str, new: str) -> str:
        """The good setup with one text replaced."""
        assert self.good.count(old) == 1, old
        return self.good.replace(old, new)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)
