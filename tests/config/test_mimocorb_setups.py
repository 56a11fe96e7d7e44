"""The three setups of the mimoCoRB manual (spectrum, lifetime, spin) load as they are."""

import numpy as np
import pytest

from mimodaq.config import load_setup, sources, topological_order

WAVES = "{1: ['chA', \"float32\"], 2: ['chB', \"float32\"], 3: ['chC', \"float32\"], 4: ['chD', \"float32\"]}"

SPECTRUM = """\
RingBuffer:
  - RB_1:
      number_of_slots: 16
      channel_per_slot: 500
      data_type:
        1: ['chA', "float32"]
        2: ['chB', "float32"]
  - RB_2:
      number_of_slots: 16
      channel_per_slot: 1
      data_type:
      data_type:
        1: ['chA_height', "float32"]
        2: ['chA_position', "int32"]
        3: ['chA_integral', "float32"]
        4: ['chB_height', "float32"]
        5: ['chB_position', "int32"]
        6: ['chB_integral', "float32"]
Functions:
  - Fkt_main:
      config_file: "config/spectrum_config.yaml"
  - Fkt_1:
      file_name: "modules/simul_source"
      fkt_name: "simul_source"
      num_process: 1
      RB_assign:
        RB_1: "write"
  - Fkt_2:
      file_name: "modules/spectrum_filter"
      fkt_name: "find_peaks"
      num_process: 2
      RB_assign:
        RB_1: "read"
        RB_2: "write"
  - Fkt_3:
      file_name: "modules/save_files"
      fkt_name: "save_to_txt"
      num_process: 1
      RB_assign:
        RB_2: "read"
  - Fkt_4:
      file_name: "modules/plot_waveform"
      fkt_name: "plot_waveform"
      num_process: 1
      RB_assign:
        RB_1: "observe"
  - Fkt_5:
      file_name: "modules/plot_histograms"
      fkt_name: "plot_histograms"
      num_process: 1
      RB_assign:
        RB_2: "read"
"""

SPECTRUM_CONFIG = """\
general:
  runtime: 600
  runevents: &events 100000
  sample_time_ns: &dt 4
  trigger_channel: &channel 'A'
find_peaks:
  sample_time_ns: *dt
  trigger_channel: *channel
  peak_minimal_prominence: 50
  trigger_channel: *channel
simul_source:
  eventcount: *events
  sleeptime: 0.03
save_to_txt:
  filename: "spectrum"
plot_waveform:
  sample_time_ns: *dt
plot_histograms:
  histograms:
    chA_height: [50., 1000., 75, 5.9, "ph 1A", 0]
"""

LIFETIME = f"""\
output_directory: target
GUI_control: true
KBD_control: true
RingBuffer:
  - RB_1: {{number_of_slots: 128, channel_per_slot: 4250, data_type: {WAVES}}}
  - RB_2: {{number_of_slots: 128, channel_per_slot: 4250, data_type: {WAVES}}}
  - RB_3:
      number_of_slots: 32
      channel_per_slot: 1
      data_type:
        1: ['decay_time', "int32"]
        3: ['1st_chA_h', "float32"]
        6: ['1st_chA_p', "int32"]
        9: ['1st_chA_int', "float32"]
Functions:
  - Fkt_main:
      config_file: "config/simulation_config.yaml"
  - Fkt_1:
      file_name: "modules/simul_source"
      fkt_name: "simul_source"
      num_process: 1
      RB_assign: {{RB_1: "write"}}
  - Fkt_2:
      file_name: "modules/lifetime_filter"
      fkt_name: "calculate_decay_time"
      num_process: 2
      RB_assign: {{RB_1: "read", RB_2: "write", RB_3: "write"}}
  - Fkt_3:
      file_name: "modules/save_files"
      fkt_name: "save_to_txt"
      config_file: "config/save_lifetime.yaml"
      num_process: 1
      RB_assign: {{RB_3: "read"}}
  - Fkt_4:
      file_name: "modules/save_files"
      fkt_name: "save_parquet"
      num_process: 1
      RB_assign: {{RB_2: "read"}}
"""

SIMULATION_CONFIG = """\
general:
  runtime: 10
  sample_time_ns: &dt 4
simul_source: {sample_time_ns: *dt, sleeptime: 0.003, random: true}
calculate_decay_time:
  sample_time_ns: *dt
  signatures:
    - - ["+", "+", "-", "-"]
      - ["0", "+", "-", "-"]
save_parquet: {filename: "simulated_data"}
"""

SPIN_EXTRA = """\
  - Fkt_5:
      file_name: "modules/save_files"
      fkt_name: "save_to_txt"
      config_file: "config/save_bottom.yaml"
      num_process: 1
      RB_assign: {RB_4: "read"}
"""


@pytest.fixture
def spectrum(project):
    project.write("spectrum_setup.yaml", SPECTRUM)
    project.write("config/spectrum_config.yaml", SPECTRUM_CONFIG)
    return load_setup("spectrum_setup.yaml")


@pytest.fixture
def lifetime(project):
    project.write("simulsource_setup.yaml", LIFETIME)
    project.write("config/simulation_config.yaml", SIMULATION_CONFIG)
    project.write("config/save_lifetime.yaml", "filename: muon_lifetime\nheader_alias: {decay_time: t (ns)}\n")
    return load_setup("simulsource_setup.yaml")


def test_spectrum_has_its_buffers(spectrum):
    assert list(spectrum.buffers) == ["RB_1", "RB_2"]
    first, second = spectrum.buffers.values()
    assert (first.slots, first.samples) == (16, 500)
    assert first.event_dtype == np.dtype([("chA", "<f4", (500,)), ("chB", "<f4", (500,))])
    assert first.row_dtype == np.dtype([("chA", "<f4"), ("chB", "<f4")])
    assert first.size_bytes == 16 * 2 * 500 * 4
    assert [f.name for f in second.fields][:2] == ["chA_height", "chA_position"]
    assert second.event_dtype["chA_position"] == np.dtype(("<i4", (1,)))
    assert second.where.line == 8


def test_spectrum_has_its_functions(spectrum):
    assert list(spectrum.functions) == ["Fkt_1", "Fkt_2", "Fkt_3", "Fkt_4", "Fkt_5"]
    peaks = spectrum.functions["Fkt_2"]
    assert (peaks.module, peaks.function, peaks.processes) == ("modules/spectrum_filter", "find_peaks", 2)
    assert (peaks.reads, peaks.writes, peaks.observes) == (("RB_1",), ("RB_2",), ())
    assert peaks.rb_assign == {"RB_1": "read", "RB_2": "write"}
    assert peaks.source_file == spectrum.folder / "modules/spectrum_filter.py"
    assert spectrum.functions["Fkt_4"].observes == ("RB_1",)


def test_a_key_repeated_with_the_same_value_is_accepted(spectrum):
    assert spectrum.functions["Fkt_2"].config == {
        "sample_time_ns": 4,
        "trigger_channel": "A",
        "peak_minimal_prominence": 50,
    }


def test_limits_come_from_the_general_block(spectrum):
    assert spectrum.events_limit == 100000
    assert spectrum.duration_s == 600


def test_helpers_answer_from_the_graph(spectrum):
    assert [f.name for f in sources(spectrum)] == ["Fkt_1"]
    assert [f.name for f in spectrum.readers("RB_2")] == ["Fkt_3", "Fkt_5"]
    assert [f.name for f in spectrum.writers("RB_2")] == ["Fkt_2"]
    assert [f.name for f in spectrum.observers("RB_1")] == ["Fkt_4"]
    assert topological_order(spectrum)[0].name == "Fkt_1"
    assert spectrum.counted_buffer == "RB_1"


def test_names_and_folders_follow_the_file(spectrum, project):
    assert spectrum.path == project.folder / "spectrum_setup.yaml"
    assert (spectrum.name, spectrum.run_prefix) == ("spectrum_setup", "spectrum_")
    assert spectrum.output_directory == project.folder / "target"
    assert spectrum.config_files == (project.folder / "config/spectrum_config.yaml",)


def test_lifetime_takes_options_from_three_files(lifetime, project):
    assert lifetime.gui
    assert lifetime.keyboard
    assert (lifetime.events_limit, lifetime.duration_s) == (None, 10)
    assert lifetime.functions["Fkt_3"].config == {
        "filename": "muon_lifetime",
        "header_alias": {"decay_time": "t (ns)"},
    }
    assert lifetime.functions["Fkt_4"].config == {"filename": "simulated_data"}
    assert lifetime.functions["Fkt_2"].config["signatures"] == [[["+", "+", "-", "-"], ["0", "+", "-", "-"]]]
    assert [path.name for path in lifetime.config_files] == ["simulation_config.yaml", "save_lifetime.yaml"]


def test_field_numbers_do_not_matter_but_their_order_does(lifetime):
    names = [f.name for f in lifetime.buffers["RB_3"].fields]
    assert names == ["decay_time", "1st_chA_h", "1st_chA_p", "1st_chA_int"]


def test_spin_adds_a_second_stream(lifetime, project):
    text = LIFETIME.replace(
        "Functions:\n",
        "  - RB_4: {number_of_slots: 32, channel_per_slot: 1, data_type: {1: [decay_time, int32]}}\nFunctions:\n",
    ).replace('RB_3: "write"', 'RB_3: "write", RB_4: "write"')
    project.write("simul_spin_setup.yaml", text + SPIN_EXTRA)
    project.write("config/save_bottom.yaml", "filename: down\n")
    spin = load_setup("simul_spin_setup.yaml")
    assert spin.functions["Fkt_2"].writes == ("RB_2", "RB_3", "RB_4")
    assert spin.functions["Fkt_3"].config["filename"] == "muon_lifetime"
    assert spin.functions["Fkt_5"].config == {"filename": "down"}
    assert spin.run_prefix == "simul_spin_"


def test_settings_that_are_not_indented_below_the_name_are_understood(project):
    flat = """\
    RingBuffer:
    - RB_1:
      number_of_slots: 16
      data_type:
      data_type:
        1: ['chA', "float32"]
    Functions:
    - Fkt_main:
    - Fkt_1:
      function: simulate
      RB_assign:
        RB_1: "write"
    - Fkt_2:
      function: drain
      RB_assign:
        RB_1: "read"
    """
    setup = project.load(flat)
    assert setup.buffers["RB_1"].slots == 16
    assert setup.where_of("RB_1", "number_of_slots").line == 3
    assert setup.functions["Fkt_2"].reads == ("RB_1",)
