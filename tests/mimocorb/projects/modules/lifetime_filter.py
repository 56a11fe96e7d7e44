"""Module **lifetime_filter**: find muons that stopped and decayed, by their double pulses"""

import numpy as np
from mimocorb.buffer_control import rbTransfer

from filters import correlate_peaks, match_signature, pulse_integral, tag_peaks


def calculate_decay_time(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """
    Calculate decay time as time between double pulses

    Output depends on the number of sinks:

    - one: waveforms
    - two: waveforms and pulse parameters
    - three: waveforms and pulse parameters, for decays upwards and downwards separately
    """
    if config_dict is None:
        raise ValueError("ERROR! Wrong configuration passed (in lifetime_filter: calculate_decay_time)!!")

    sample_time_ns = config_dict["sample_time_ns"]
    offset_mv = 1000.0 * config_dict["analogue_offset"]
    minima = (
        config_dict["peak_minimal_prominence_initial"],
        config_dict["peak_minimal_prominence_secondary"],
    )
    distance = config_dict["peak_minimal_distance"]
    width = config_dict["peak_minimal_width"]
    tolerance = config_dict["trigger_position_tolerance"]
    signatures = config_dict["signatures"]
    pulse_par_dtype = sink_list[-1]["dtype"]

    def pulse_parameters(input_data, groups, peaks, properties):
        parameters = np.zeros((1,), dtype=pulse_par_dtype)
        positions = ([], [])
        for k, order in enumerate(("1st", "2nd")):
            for name in groups.dtype.names:
                index = groups[name][k]
                if index >= 0:
                    position = peaks[name][index]
                    positions[k].append(position)
                    parameters[f"{order}_{name}_p"] = position
                    parameters[f"{order}_{name}_h"] = properties[name]["prominences"][index]
                    parameters[f"{order}_{name}_int"] = pulse_integral(input_data[name], position, offset_mv)
        parameters["decay_time"] = (np.mean(positions[1]) - np.mean(positions[0])) * sample_time_ns
        return parameters

    def find_double_pulses(input_data):
        """called by rbTransfer for every waveform"""
        peaks, properties = tag_peaks(input_data, min(minima), distance, width)
        groups = correlate_peaks(peaks, tolerance)
        if len(groups) < 2:
            return None
        for name in groups.dtype.names:
            for k in (0, 1):
                index = groups[name][k]
                if index >= 0:
                    height = properties[name]["prominences"][index] * config_dict[name + "_scaling"]
                    if height < minima[k]:
                        groups[name][k] = -1
        matching = [k for k, signature in enumerate(signatures) if match_signature(groups, signature)]
        if not matching:
            return None
        if len(sink_list) == 1:
            return 1
        parameters = pulse_parameters(input_data, groups, peaks, properties)
        if len(sink_list) == 2:
            return [parameters]
        if matching[-1] == 0:
            return [parameters, None]  # decay upwards
        if matching[-1] == 1:
            return [None, parameters]  # decay downwards
        return None

    p_filter = rbTransfer(
        source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=find_double_pulses, **rb_info
    )
    p_filter()
