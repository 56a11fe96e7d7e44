"""Loggers with one common level, as the classes of mimoCoRB use them."""

from __future__ import annotations

import logging


class Logging_manager:
    """Makes loggers, and changes the level of all of them together.

    Not the root logger's level: graphics libraries would flood the terminal.
    """

    def __init__(self) -> None:
        self.level = logging.WARNING
        self.logger_pool: list[logging.Logger] = []

    def set_level(self, level: int) -> None:
        """Set the level of every logger made so far and from now on."""
        self.level = level
        for logger in self.logger_pool:
            logger.setLevel(level)

    def __call__(self, name: str) -> logging.Logger:
        """The logger `name`, at the common level."""
        logger = logging.getLogger(name)
        logger.setLevel(self.level)
        if logger not in self.logger_pool:
            self.logger_pool.append(logger)
        return logger


Gen_logger = Logging_manager()
"""The manager that all classes of this package share."""
