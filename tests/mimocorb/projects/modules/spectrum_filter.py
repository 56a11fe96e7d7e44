"""Module **spectrum_filter**: heights, positions and integrals of the pulses at the trigger time"""

import numpy as np
from mimocorb.buffer_control import rbTransfer

from filters import tag_peaks


def find_peaks(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """
    Write the parameters of valid signal pulses to the last sink; with two sinks the first one gets the waveform

    An event is valid if the trigger channel has a peak; then in every channel the peak within the tolerance counts.
    """
    if config_dict is None:
        raise ValueError("ERROR! Wrong configuration passed (in spectrum_filter: find_peaks)!!")

    sample_time_ns = config_dict["sample_time_ns"]
    offset_mv = 1000.0 * config_dict["analogue_offset"]
    prominence = config_dict["peak_minimal_prominence"]
    distance = config_dict["peak_minimal_distance"]
    width = config_dict["peak_minimal_width"]
    pre_trigger_samples = config_dict["pre_trigger_samples"]
    trigger_channel = config_dict["trigger_channel"]
    tolerance = config_dict["trigger_position_tolerance"]
    pulse_par_dtype = sink_list[-1]["dtype"]

    def tag_pulses(input_data):
        """called by rbTransfer for every waveform"""
        peaks, properties = tag_peaks(input_data, prominence, distance, width)

        reference = pre_trigger_samples
        if trigger_channel in ("A", "B", "C", "D"):
            candidates = peaks["ch" + trigger_channel]
            if len(candidates) == 0:
                return None
            reference = candidates[np.argmin(np.abs(candidates - pre_trigger_samples))]

        peak_data = np.zeros((1,), dtype=pulse_par_dtype)
        for name, positions in peaks.items():
            for k, position in enumerate(positions):
                if abs(int(position) - int(reference)) >= tolerance:
                    continue
                left = int(np.floor(properties[name]["left_ips"][k]))
                right = int(np.ceil(properties[name]["right_ips"][k]))
                area = np.sum(input_data[name][left:right] - offset_mv, dtype=np.float64)
                peak_data[0][name + "_position"] = position
                peak_data[0][name + "_height"] = input_data[name][position] - offset_mv
                # charge: mV * ns over 50 ohm, amplifier gain 5
                peak_data[0][name + "_integral"] = area * sample_time_ns * 1e-9 / 50 / 5
        return [peak_data]

    p_filter = rbTransfer(
        source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=tag_pulses, **rb_info
    )
    p_filter()
