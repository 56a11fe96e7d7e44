"""**replay_source**: fill a buffer with recorded waveforms; a module of a mimoCoRB project.

The configuration names a numpy file of records: `counter`, `timestamp`, and one field of waveforms per channel.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from mimocorb.buffer_control import rbImport  # type: ignore[import-not-found]


def replay_source(
    source_list: Any = None, sink_list: Any = None, observe_list: Any = None, config_dict: Any = None, **rb_info: str
) -> None:
    """Deliver every event of the file with its counter and time."""
    events = np.load(config_dict["file"], mmap_mode="r")
    channels = [name for name in events.dtype.names if name not in ("counter", "timestamp")]

    def yield_data() -> Iterator[Any]:
        for event in events:
            metadata = (int(event["counter"]), float(event["timestamp"]), 0.0)
            yield [event[name] for name in channels], metadata
        yield None, None

    rbImport(config_dict=config_dict, sink_list=sink_list, ufunc=yield_data, **rb_info)()
