"""PicoScope readout: the source `picoscope`, counts to volts, and what `mimodaq doctor` asks about scopes.

Importing this package loads neither picosdk nor any library of the vendor.
"""

from mimodaq.picoscope._calibration import VOLTS, buffer_scale, scale_of, volts
from mimodaq.picoscope._families import FAMILIES, Family
from mimodaq.picoscope._load import LIBRARY_DIR, LibraryMissingError
from mimodaq.picoscope._probe import Finding, probe
from mimodaq.picoscope._settings import Settings, SettingsError, read_settings
from mimodaq.picoscope._source import picoscope
from mimodaq.picoscope._status import NoScopeError, ScopeError, ScopeLostError, StatusError

__all__ = [
    "FAMILIES",
    "LIBRARY_DIR",
    "VOLTS",
    "Family",
    "Finding",
    "LibraryMissingError",
    "NoScopeError",
    "ScopeError",
    "ScopeLostError",
    "Settings",
    "SettingsError",
    "StatusError",
    "buffer_scale",
    "picoscope",
    "probe",
    "read_settings",
    "scale_of",
    "volts",
]
