"""Everything a mimoCoRB project imports from `mimocorb.buffer_control`."""

from mimodaq.mimocorb._access import rbDrain, rbExport, rbImport, rbProcess, rbPut, rbTransfer
from mimodaq.mimocorb._control import buffer_control
from mimodaq.mimocorb._files import rb_toParquetfile, rb_toTxtfile
from mimodaq.mimocorb._observe import rbObserver, rbWSObserver
from mimodaq.mimocorb._run import run_mimoDAQ

__all__ = [
    "buffer_control",
    "rbDrain",
    "rbExport",
    "rbImport",
    "rbObserver",
    "rbProcess",
    "rbPut",
    "rbTransfer",
    "rbWSObserver",
    "rb_toParquetfile",
    "rb_toTxtfile",
    "run_mimoDAQ",
]
