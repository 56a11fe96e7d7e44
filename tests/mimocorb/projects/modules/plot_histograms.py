"""**plot_histograms**: histogram variables of a buffer while data are taken"""

from mimocorb.histogram_buffer import histogram_buffer


def plot_histograms(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    histbuf = histogram_buffer(
        source_list=source_list, sink_list=sink_list, observe_list=observe_list, config_dict=config_dict, **rb_info
    )
    histbuf()
