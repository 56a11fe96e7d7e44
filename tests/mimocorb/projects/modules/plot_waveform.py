"""**plot_waveform**: show waveforms of a buffer as an oscilloscope does"""

from mimocorb.plot_buffer import plot_buffer


def plot_waveform(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    pltbuf = plot_buffer(
        source_list=source_list, sink_list=sink_list, observe_list=observe_list, config_dict=config_dict, **rb_info
    )
    pltbuf()
