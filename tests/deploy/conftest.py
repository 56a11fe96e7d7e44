"""Installations on computers of their own take minutes: they are left out unless asked for with ``-m deploy``."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "deploy: installations on computers that boot; minutes, root, wheels to download"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "deploy" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("deploy")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
