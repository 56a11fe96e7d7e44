"""Answers to questions that change nothing, as JSON."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final, assert_never

from mimodaq.broker._runs import RunDatabase
from mimodaq.keys import Authorized
from mimodaq.protocol.messages import BULK_BYTES, INFO_BYTES, Info, Inquire, Topic
from mimodaq.protocol.states import table

_MANY: Final = ("runs", "counts", "links", "accounts", "keys")
"""Lists that are cut, from their ends, if an answer is too long."""


def answer(
    inquiry: Inquire, runs: RunDatabase, setup: dict[str, Any], me: dict[str, Any], authorized: Authorized | None
) -> Info:
    """The answer to an inquiry; `me` is about who has asked."""
    number = inquiry.number
    try:
        match inquiry.what:
            case Topic.STATES:
                return _info(number, table())
            case Topic.RUNS:
                return _info(number, {"runs": runs.runs(inquiry.limit)})
            case Topic.RUN:
                run = runs.run(inquiry.run) if inquiry.run is not None else None
                return _info(number, run) if run else _refusal(number, f"there is no run {inquiry.run}")
            case Topic.SETUP:
                return _info(number, setup) if setup else _refusal(number, "no setup is loaded")
            case Topic.KEYS:
                grants = authorized.grants if authorized is not None else ()
                keys = [{"name": g.name, "role": g.role.value, "public": g.public, "since": g.since} for g in grants]
                return _info(number, {"keys": keys, "has_keys": authorized is not None})
            case Topic.ME:
                return _info(number, me)
            case Topic.BULK:
                return Info(number, True, b'"'.ljust(BULK_BYTES - 1) + b'"')
            case _:
                assert_never(inquiry.what)
    except sqlite3.Error as error:
        return _refusal(number, f"reading the run database: {error}")


def _info(number: int, content: dict[str, Any]) -> Info:
    """An answer; if it is too long, lists are cut in half until it fits, and `is_cut` says so."""
    raw = _json(content)
    while len(raw) > INFO_BYTES:
        longest = max(_MANY, key=lambda name: len(content.get(name, ())))
        entries = content.get(longest, ())
        if not entries:
            return _refusal(number, "the answer is too long to be sent")
        content = {**content, longest: entries[: len(entries) // 2], "is_cut": True}
        raw = _json(content)
    return Info(number, True, raw)


def _refusal(number: int, text: str) -> Info:
    """Why there is no answer."""
    return Info(number, False, _json(text))


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
