"""The interface of mimoCoRB 1.0 on the ring buffers of mimodaq.

Old programs import it as `mimocorb`; see `install_alias` and ``python -m mimodaq.mimocorb SCRIPT``. As there, the
modules are imported by name: `mimo_buffer`, `buffer_control`, `plot_buffer`, `histogram_buffer`, `bufferinfoGUI`,
`pulseSimulator`, `parquetReader`, `activity_logger`.
"""

from mimodaq.mimocorb._alias import install_alias
from mimodaq.mimocorb._worker import WorkerArguments, call_function, worker_arguments

__version__ = "1.0.2"
"""The release of mimoCoRB whose interface this is."""

__all__ = ["WorkerArguments", "call_function", "install_alias", "worker_arguments"]
