"""**simul_source**: fill a buffer with simulated waveforms

Replace pulseSimulator by a class that reads your own instrument.
"""

from mimocorb.buffer_control import rbImport
from pulseSimulator import pulseSimulator


def simul_source(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """
    Generate simulated data and pass them to the buffer

    :param config_dict: configuration dictionary

      - eventcount: number of events, or 0 for no end
      - all keys of pulseSimulator
    """
    events_required = 1000 if "eventcount" not in config_dict else config_dict["eventcount"]
    data_source = pulseSimulator(config_dict)

    def yield_data():
        """deliver pulse data and no metadata, called by rbImport"""
        event_count = 0
        while events_required == 0 or event_count < events_required:
            yield (data_source(number_of_channels), None)
            event_count += 1
        yield (None, None)

    simulsource = rbImport(config_dict=config_dict, sink_list=sink_list, ufunc=yield_data, **rb_info)
    number_of_channels = len(simulsource.sink.dtype)
    simulsource()
