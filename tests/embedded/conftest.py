import shutil
import tempfile
from pathlib import Path

import pytest

from embedded.screens import Seat


@pytest.fixture
def seat(tmp_path):
    runtime = Path(tempfile.mkdtemp(prefix="m-", dir="/dev/shm"))  # as in life: in memory, and short
    yield Seat(tmp_path, runtime)
    shutil.rmtree(runtime)
