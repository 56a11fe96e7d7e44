"""Clusters of real hosts for the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from link.hosts import Hosts, why_not
from nodes.real import Cluster, cluster


@pytest.fixture
def new_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Make a cluster on loopback, or, with `real=True`, on hosts of its own (the broker has one, too)."""
    with ExitStack() as stack:

        def make(*names: str, real: bool = True, keys: bool = False) -> Cluster:
            hosts = None
            if real:
                reason = why_not()
                if reason:
                    pytest.skip(reason)
                hosts = stack.enter_context(Hosts(len(names) + 1))
            return stack.enter_context(cluster(tmp_path, list(names), hosts, keys=keys))

        yield make
