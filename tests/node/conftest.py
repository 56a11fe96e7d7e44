import textwrap

import pytest

from mimodaq.config import load_setup

SETUP = """\
output_directory: out
RingBuffer:
  - RB_1: {number_of_slots: 4, data_type: {1: [x, float64]}}
  - RB_2: {number_of_slots: 4, data_type: {1: [x, float64]}}
Functions:
  - Fkt_1: {function: "modules/own.py:source", RB_assign: {RB_1: write}}
  - Fkt_2: {function: "modules/own.py:keep", num_process: 2, RB_assign: {RB_1: read, RB_2: write}}
  - Fkt_3: {function: to_csv, RB_assign: {RB_2: read}, config: {filename: x}}
  - Fkt_4: {function: "modules/own.py:look", RB_assign: {RB_2: observe}}
"""


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def setup(write):
    write("modules/own.py", "def source():\n    yield 1\n")
    write("modules/helper.py", "")
    return load_setup(write("demo_setup.yaml", SETUP))
