"""Measurements of tiny size, on a machine where no peer is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimodaq.client.bench._peers import Peers


@pytest.fixture
def no_peers(tmp_path: Path) -> Peers:
    return Peers(tmp_path)
