from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

import pytest

from mimodaq.picoscope import _publish
from picoscope.rigs import Desk, PurePython, StandIn
from picoscope.standin import build


@pytest.fixture(scope="session")
def libraries(pytestconfig):
    """The stand-in libraries, built when they are asked for."""
    if not (shutil.which("gcc") or shutil.which("cc")):
        pytest.skip("no C compiler: the stand-in library cannot be built")
    folder = Path(pytestconfig.cache.mkdir("picoscope"))
    return lru_cache(lambda family: build.build(family, folder))


INTO_SLOTS, COPIED = 0, 10**6
"""Values of COPY_BELOW_BYTES for both ways of counts into the buffer, whatever the length of the waveforms."""
RIGS = [(name, INTO_SLOTS) for name in ("python", *build.FLAGS)] + [("python", COPIED), ("ps3000a", COPIED)]


@pytest.fixture(params=RIGS, ids=lambda pair: f"{pair[0]}{', copied' if pair[1] else ''}")
def rig(request, monkeypatch):
    """Each scope in turn: the one in Python, the families of the library."""
    name, below = request.param
    monkeypatch.setattr(_publish, "COPY_BELOW_BYTES", below)
    if name == "python":
        return PurePython()
    return StandIn(name, request.getfixturevalue("libraries")(name))


@pytest.fixture
def standin(libraries):
    return StandIn("ps3000a", libraries("ps3000a"))


@pytest.fixture
def desk(rig, tmp_path):
    made = Desk(rig, tmp_path)
    yield made
    made.close()
