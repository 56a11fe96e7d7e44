from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

import pytest

from picoscope.rigs import Desk, PurePython, StandIn
from picoscope.standin import build


@pytest.fixture(scope="session")
def libraries(pytestconfig):
    """The stand-in libraries, built when they are asked for."""
    if not (shutil.which("gcc") or shutil.which("cc")):
        pytest.skip("no C compiler: the stand-in library cannot be built")
    folder = Path(pytestconfig.cache.mkdir("picoscope"))
    return lru_cache(lambda family: build.build(family, folder))


@pytest.fixture(params=["python", *build.FLAGS])
def rig(request):
    """Each scope in turn: the one in Python, the families of the library."""
    if request.param == "python":
        return PurePython()
    return StandIn(request.param, request.getfixturevalue("libraries")(request.param))


@pytest.fixture
def standin(libraries):
    return StandIn("ps3000a", libraries("ps3000a"))


@pytest.fixture
def desk(rig, tmp_path):
    made = Desk(rig, tmp_path)
    yield made
    made.close()
