"""The run database: every run that was ever given a number, for ever, in one SQLite file that any tool can read."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mimodaq.broker._options import BrokerError
from mimodaq.protocol.cluster_events import Boot, RunRow
from mimodaq.protocol.membership import next_epoch
from mimodaq.protocol.parts import OnLoss, RunEnd
from mimodaq.protocol.run import Verdict
from mimodaq.system import read_number, write_file

FILE: Final = "runs.sqlite"
_NUMBER: Final = "run_number"
_VERSION: Final = 1
_LOCKED_S: Final = 0.5
"""How long another program may write; then a row is kept in memory and tried again."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS epochs (epoch INTEGER PRIMARY KEY, begin_utc_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY,
    setup_id TEXT NOT NULL,
    operator TEXT NOT NULL,
    comment TEXT NOT NULL,
    optional TEXT NOT NULL,           -- JSON list of hosts
    on_loss TEXT NOT NULL,
    verdict TEXT,                     -- NULL while the run goes on
    reasons TEXT NOT NULL,            -- JSON list
    end_reason TEXT NOT NULL,
    running_s REAL NOT NULL,          -- pauses do not count
    events INTEGER NOT NULL,          -- of the first buffer
    asked_utc_s REAL NOT NULL,        -- the number was given
    started_utc_s REAL,               -- all hosts were running
    stopping_utc_s REAL,              -- the end was asked for, by whatever
    ended_utc_s REAL                  -- all hosts had left, or were given up
);
CREATE TABLE IF NOT EXISTS held (     -- lost hosts for which a run that goes on is paused
    run INTEGER NOT NULL, node TEXT NOT NULL, PRIMARY KEY (run, node)
);
CREATE TABLE IF NOT EXISTS accounts ( -- what each host said of its part
    run INTEGER NOT NULL, node TEXT NOT NULL, verdict TEXT NOT NULL, ending TEXT NOT NULL,
    reasons TEXT NOT NULL, is_ledger_known INTEGER NOT NULL, is_late INTEGER NOT NULL,
    PRIMARY KEY (run, node)
);
CREATE TABLE IF NOT EXISTS counts (   -- where the events of each buffer went, for each group of readers
    run INTEGER NOT NULL, node TEXT NOT NULL, buffer TEXT NOT NULL, readers TEXT NOT NULL,
    committed INTEGER NOT NULL, released INTEGER NOT NULL, quarantined INTEGER NOT NULL, left_over INTEGER NOT NULL,
    PRIMARY KEY (run, node, buffer, readers)
);
CREATE TABLE IF NOT EXISTS links (    -- events acknowledged at the sender, arrived at the receiver
    run INTEGER NOT NULL, node TEXT NOT NULL, link TEXT NOT NULL, is_sender INTEGER NOT NULL, events INTEGER NOT NULL,
    PRIMARY KEY (run, node, link, is_sender)
);
"""
_RUN_COLUMNS: Final = (
    "run, setup_id, operator, comment, optional, on_loss, verdict, reasons, end_reason, running_s, events, "
    "asked_utc_s, started_utc_s, stopping_utc_s, ended_utc_s"
)


class RunDatabase:
    """Survives kills and power cuts: WAL, synchronous. A damaged file is set aside, never overwritten.

    The last number given is also in a file of its own, so that no number comes twice even if the database was lost.
    """

    def __init__(self, folder: Path) -> None:
        """Open or make it. Raises BrokerError."""
        self._folder = folder
        self.set_aside: Path | None = None
        """Where the damaged database is now, if it was."""
        try:
            self._database = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # disk full, no permission: the file may be good
                raise BrokerError(
                    f"opening the run database {folder / FILE}: {error}. See to the disk, or --state"
                ) from (error)
            self.set_aside = self._move_away()
            self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._folder / FILE, timeout=_LOCKED_S)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise BrokerError(
                    f"{self._folder / FILE} was written by a newer release of mimodaq (format {version}, this is "
                    f"{_VERSION}): use that release, or another --state"
                )
            (check,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if check != "ok":
                raise sqlite3.DatabaseError(check)
            with database:
                database.executescript(_SCHEMA)
                database.execute(f"PRAGMA user_version={_VERSION}")
        except BaseException:
            database.close()
            raise
        return database

    def _move_away(self) -> Path:
        base = self._folder / f"{FILE}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.replace(self._folder / f"{FILE}{suffix}", f"{base}{suffix}")
        return base

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # -- what must survive the broker ---------------------------------------------------------------------------

    def begin_epoch(self) -> int:
        """A number for this life of the broker, larger than of any before."""
        (previous,) = self._database.execute("SELECT COALESCE(MAX(epoch), 0) FROM epochs").fetchone()
        utc_s = time.time()
        epoch = next_epoch(previous, utc_s)
        with self._database:
            self._database.execute("INSERT INTO epochs VALUES (?, ?)", (epoch, utc_s))
        return epoch

    def boot(self) -> Boot:
        """What a broker that starts must know of runs."""
        (last,) = self._database.execute("SELECT COALESCE(MAX(run), 0) FROM runs WHERE verdict IS NOT NULL").fetchone()
        found = self._database.execute(
            f"SELECT {_RUN_COLUMNS} FROM runs WHERE verdict IS NULL AND run > ? ORDER BY run DESC LIMIT 1", (last,)
        ).fetchone()
        if found is None:
            return Boot(last)
        row = _row(found)
        held = self._database.execute("SELECT node FROM held WHERE run = ?", (row.run,)).fetchall()
        return Boot(last, replace(row, held_for=frozenset(node for (node,) in held)))

    def next_number(self, at_least: int) -> int:
        """A run number that was never given. Raises OSError or sqlite3.Error if that cannot be made sure of."""
        path = self._folder / _NUMBER
        (highest,) = self._database.execute("SELECT COALESCE(MAX(run), 0) FROM runs").fetchone()
        number: int = max(highest + 1, read_number(path) + 1, at_least)
        write_file(path, f"{number}\n".encode())
        return number

    def save(self, row: RunRow) -> None:
        """Write what is known of a run; a time is kept from when its fact was first told. Raises sqlite3.Error."""
        now = time.time()
        facts = (
            row.run,
            row.setup_id,
            row.operator,
            row.comment,
            json.dumps(sorted(row.optional)),
            row.on_loss.value,
            row.verdict.value if row.verdict else None,
            json.dumps(row.reasons, ensure_ascii=False),
            row.end_reason,
            row.running_s,
            row.events,
            now,
            now if row.is_started else None,
            now if row.is_stopping else None,
            now if row.verdict else None,
        )
        with self._database:
            self._database.execute(
                f"INSERT INTO runs ({_RUN_COLUMNS}) VALUES ({', '.join('?' * len(facts))}) "
                "ON CONFLICT (run) DO UPDATE SET "
                "verdict = COALESCE(verdict, excluded.verdict), reasons = excluded.reasons, "
                "end_reason = excluded.end_reason, running_s = MAX(running_s, excluded.running_s), "
                "events = MAX(events, excluded.events), "
                "started_utc_s = COALESCE(started_utc_s, excluded.started_utc_s), "
                "stopping_utc_s = COALESCE(stopping_utc_s, excluded.stopping_utc_s), "
                "ended_utc_s = COALESCE(ended_utc_s, excluded.ended_utc_s)",
                facts,
            )
            self._database.execute("DELETE FROM held WHERE run = ?", (row.run,))
            self._database.executemany("INSERT INTO held VALUES (?, ?)", [(row.run, node) for node in row.held_for])
            for node, account in (row.accounts or {}).items():
                self._save_account(row.run, node, account, is_late=False)

    def add_account(self, run: int, node: str, account: RunEnd) -> None:
        """A node has told, after the run was closed, what became of its part. Raises sqlite3.Error."""
        with self._database:
            self._save_account(run, node, account, is_late=True)

    def _save_account(self, run: int, node: str, account: RunEnd, *, is_late: bool) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                run,
                node,
                account.verdict.value,
                account.ending.value,
                json.dumps(account.reasons, ensure_ascii=False),
                account.is_ledger_known,
                is_late,
            ),
        )
        self._database.executemany(
            "INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (run, node, ring.ring, g.name, g.committed, g.released, g.quarantined, g.left)
                for ring in account.rings
                for g in ring.groups
            ],
        )
        self._database.executemany(
            "INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?, ?)",
            [(run, node, link.link, link.is_sender, link.events) for link in account.links],
        )

    # -- what people want to know -------------------------------------------------------------------------------

    def runs(self, limit: int) -> list[dict[str, Any]]:
        """The last runs, newest first."""
        found = self._database.execute(f"SELECT {_RUN_COLUMNS} FROM runs ORDER BY run DESC LIMIT ?", (limit,))
        return [_plain(values) for values in found]

    def run(self, number: int) -> dict[str, Any] | None:
        """All about one run; None if there is none of this number."""
        found = self._database.execute(f"SELECT {_RUN_COLUMNS} FROM runs WHERE run = ?", (number,)).fetchone()
        if found is None:
            return None
        answer = _plain(found)
        answer["accounts"] = [
            {**account, "reasons": json.loads(account["reasons"])} for account in self._of("accounts", number)
        ]
        for account in answer["accounts"]:
            account["is_ledger_known"], account["is_late"] = bool(account["is_ledger_known"]), bool(account["is_late"])
        answer["counts"] = self._of("counts", number)
        answer["links"] = [{**link, "is_sender": bool(link["is_sender"])} for link in self._of("links", number)]
        return answer

    def _of(self, table: str, run: int) -> list[dict[str, Any]]:
        cursor = self._database.execute(f"SELECT * FROM {table} WHERE run = ? ORDER BY rowid", (run,))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names[1:], values[1:], strict=True)) for values in cursor]


def _row(values: Iterable[Any]) -> RunRow:
    run = _plain(values)
    return RunRow(
        run["run"],
        run["setup_id"],
        run["operator"],
        run["comment"],
        frozenset(run["optional"]),
        OnLoss(run["on_loss"]),
        is_started=run["started_utc_s"] is not None,
        is_stopping=run["stopping_utc_s"] is not None,
        verdict=Verdict(run["verdict"]) if run["verdict"] else None,
        reasons=tuple(run["reasons"]),
        end_reason=run["end_reason"],
        running_s=run["running_s"],
        events=run["events"],
    )


def _plain(values: Iterable[Any]) -> dict[str, Any]:
    run = dict(zip(_RUN_COLUMNS.split(", "), values, strict=True))
    run["optional"], run["reasons"] = json.loads(run["optional"]), json.loads(run["reasons"])
    return run
