"""The pictures of the documentation and the text of an evening, from a run of real processes.

    PYTHONPATH=tests .venv/bin/python -m tui.pictures docs/img

A broker and three nodes on this computer take invented pulses; the screens look on without a terminal, in two sizes.
What is pressed, and what is seen then, goes to stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from mimodaq.tui._app import OperatorApp
from mimodaq.tui.live import Address, open_feed
from nodes.real import Cluster, cluster
from tui.evening import HOSTS, PATIENCE_S, send, write_experiment

SIZES = ((160, 45), (80, 24))
"""The last one is that of the text."""
HISTORY_S = 75.0
"""So long a run goes on before it is looked at, so that there are curves to see."""


class Desk:
    """Somebody at the screens, with a camera."""

    def __init__(self, app: OperatorApp, pilot: Pilot[None], folder: Path) -> None:
        self.app, self.pilot, self.folder = app, pilot, folder

    @property
    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
        await self.pilot.pause()

    async def until(self, holds: Callable[[], bool], why: str, seconds: float = PATIENCE_S) -> None:
        give_up = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < give_up, f"waited in vain {why}\n{self.text}"
            await asyncio.sleep(0.05)
            await self.pilot.pause()

    async def sees(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.text for text in texts), f"for {texts}")

    async def passes(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        await self.until(lambda: time.monotonic() >= end, "", seconds + PATIENCE_S)

    async def photograph(self, name: str, *, is_told: str = "") -> None:
        """The screen in all sizes; with a heading, also as text."""
        for field in self.app.screen.query(Input):
            field.cursor_blink = False
        for width, height in SIZES:
            await self.pilot.resize_terminal(width, height)
            await self.passes(1.2)  # the next snapshot finds the new size
            picture = small(self.app.export_screenshot(title=f"mimodaq tui: {name}"))
            (self.folder / f"tui_{name}_{width}x{height}.svg").write_text(picture)
        if is_told:
            await self.look(is_told)

    async def look(self, heading: str) -> None:
        """The screen as text."""
        await self.passes(1.2)
        print(f"--- {heading}\n\n{self.text}\n", flush=True)


def small(svg: str) -> str:
    """A picture without fonts from elsewhere, and with short names."""
    svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    svg = svg.replace("Fira Code", "DejaVu Sans Mono")
    svg = re.sub(r' clip-path="url\(#[^"]*-line-\d+\)"', "", svg)
    svg = re.sub(r'<clipPath id="[^"]*-line-\d+">.*?</clipPath>', "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+-", "t", svg)
    return re.sub(r"\n\s+", "\n", svg)


async def evening(lab: Cluster, folder: Path, setup: Path) -> None:
    """From the start of a run to its entry in the database."""
    feed = await open_feed(Address(lab.address))
    app = OperatorApp(feed, setup_file=setup, has_bell=False, folder=folder)
    try:
        async with app.run_test(size=SIZES[-1]) as pilot:
            desk = Desk(app, pilot, folder)
            await take_a_run(lab, desk)
    finally:
        await feed.close()


async def take_a_run(lab: Cluster, desk: Desk) -> None:
    """The story."""
    await desk.sees("CONFIGURED", "daq1")
    await desk.press("r", *"cosmics, top panel moved")
    await desk.sees("3 of 3 nodes there")
    await desk.photograph("start", is_told="20:00  r: start a run")
    await desk.sees("✓ cluster is configured")
    await desk.press("f5")
    await desk.sees("RUNNING")
    await desk.press("5")
    await desk.passes(HISTORY_S / 2)
    await desk.press("8", "z", "5")  # a busy computer lets something wait now and then
    await desk.photograph("histograms")
    await desk.press("4")
    await desk.passes(5)
    await desk.photograph("event")
    await desk.press("6")
    await desk.photograph("config")
    await desk.press("1")
    await desk.passes(HISTORY_S / 4)
    await desk.press("8", "z", "1")
    await desk.photograph("overview", is_told="the run goes on")
    send(lab, "daq1", "file[0]", signal.SIGSTOP)
    await desk.sees("events wait")
    await desk.look("an alarm")
    await desk.press("8")
    await desk.photograph("alarms", is_told="8: what to do")
    await desk.press("2")
    await desk.photograph("topology", is_told="2: where it is")
    await desk.press("3")
    await desk.photograph("logs", is_told="3: what the host says")
    await desk.press("p")
    await desk.sees("PAUSED")
    await desk.press("m", *"disk of daq1 hangs, cable replugged")
    await desk.press("enter")
    send(lab, "daq1", "file[0]", signal.SIGCONT)
    await desk.press("8", "z", "1")
    await desk.look("p: held, until the writer goes on; m: a remark for the log; 8 z: seen")
    await desk.press("p")
    await desk.sees("RUNNING")
    await desk.press("X")
    await desk.photograph("abort")
    await desk.press("escape", "x")
    await desk.press("escape", "8", "z", "1", "x")
    await desk.photograph("stop", is_told="x: stop")
    await desk.press("y")
    await desk.sees("CONFIGURED")
    await desk.press("7")
    await desk.until(lambda: "cosmics" in desk.text and "goes on" not in desk.text, "for the verdict")
    await desk.photograph("runs", is_told="7: the run")
    await desk.press("enter")
    await desk.look("enter: all about it")


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser("python -m tui.pictures", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mimodaq-evening-") as work, cluster(Path(work), list(HOSTS)) as lab:
        session = lab.start()
        setup = write_experiment(lab, rate=150.0)
        answer = session.configure(setup)
        assert answer.ok, answer.text
        asyncio.run(evening(lab, options.folder, setup))


if __name__ == "__main__":
    main()
