"""Hosts for tests, see there."""

from __future__ import annotations

import os

import pytest

from mimodaq.client.bench import _hosts
from mimodaq.client.bench._hosts import Host, HostError, Hosts

__all__ = ["Host", "HostError", "Hosts", "why_not"]


def why_not() -> str:
    """Why a test cannot have hosts, so that it is left out; empty if it can. In CI, which has all, the test fails."""
    reason = _hosts.why_not()
    if reason and "CI" in os.environ:
        pytest.fail(reason, pytrace=False)
    return reason
