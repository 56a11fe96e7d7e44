"""What leaving the screens of a run asks, and what they do with the end of it; the run itself is simulated."""

import asyncio
from contextlib import asynccontextmanager

from mimodaq.client._embedded import Begun, Ended, NotStarted
from mimodaq.protocol.states import State
from mimodaq.tui._run_app import RunApp
from mimodaq.tui.simulated import SimulatedFeed
from tui.console import Console, in_a_loop

END = Ended(7, "good", "\nrun 7: GOOD\n  in /data/7\n     events.parquet")


class Seat(Console):
    """Somebody at the screens, and the process of the run, which says what it is told to."""

    def __init__(self, app, feed, pilot, said):
        super().__init__(app, feed, pilot)
        self._said = said

    async def hear(self, news):
        """The process of the run says something; None: it has died."""
        self._said.put_nowait(news)
        await self.settle()

    async def sees(self, holds):
        """Wait, without the time of the experiment passing; `in_a_loop` sets the limit."""
        while not holds():
            await self.pilot.pause()

    @property
    def is_left(self):
        return self.app.return_code is not None


@asynccontextmanager
async def screens(state=State.RUNNING):
    feed, said = SimulatedFeed(state=state), asyncio.Queue()

    async def news():
        while (one := await said.get()) is not None:
            yield one

    app = RunApp(feed, news(), "ipc:///run/x", ticks=False, has_bell=False)
    async with app.run_test(size=(120, 36)) as pilot:
        seat = Seat(app, feed, pilot, said)
        await seat.settle()
        yield seat


@in_a_loop
async def test_who_wants_to_leave_a_run_is_asked_and_may_stay():
    async with screens() as seat:
        assert "mimodaq tui --broker ipc:///run/x" in seat.text
        for key in ("q", "f10", "ctrl+c", "ctrl+q"):
            await seat.press(key)
            await seat.sees(lambda: seat.dialog == "Leave" and "events in" in seat.text)
            await seat.press("enter")  # the safe answer has the focus
            await seat.sees(lambda: not seat.dialog)
            assert (seat.is_left, seat.state) == (False, State.RUNNING)


@in_a_loop
async def test_help_says_that_leaving_is_a_question_here():
    async with screens() as seat:
        await seat.press("question_mark")
        await seat.sees(lambda: seat.dialog == "Shown")
        await seat.press("end")
        await seat.sees(lambda: "q or F10" in seat.text and "leave; asks what becomes of the run" in seat.text)
        assert "the run goes on" not in seat.text


@in_a_loop
async def test_a_run_can_be_left_running():
    async with screens() as seat:
        await seat.hear(Begun("/data/7"))
        await seat.press("q")
        await seat.sees(lambda: seat.dialog == "Leave")
        await seat.press("l")
        await seat.sees(lambda: seat.is_left)
        assert (seat.app.is_left_running, seat.app.directory) == (True, "/data/7")
    assert seat.state is State.RUNNING


@in_a_loop
async def test_who_stops_the_run_leaves_when_it_has_ended():
    async with screens() as seat:
        await seat.press("q")
        await seat.sees(lambda: seat.dialog == "Leave")
        await seat.press("x")
        await seat.sees(lambda: seat.state is State.STOPPING)
        await seat.until(lambda: seat.state is State.CONFIGURED)
        assert not seat.is_left
        await seat.hear(END)
        await seat.sees(lambda: seat.is_left)
        assert (seat.app.ended, seat.app.is_left_running) == ([END], False)


@in_a_loop
async def test_the_end_is_told_even_to_who_is_about_to_leave_and_then_nothing_is_asked():
    async with screens() as seat:
        await seat.press("x")
        await seat.sees(lambda: seat.dialog == "Confirm")
        await seat.press("y")
        await seat.sees(lambda: seat.state is State.STOPPING)
        await seat.until(lambda: seat.state is State.CONFIGURED)
        await seat.press("q")
        await seat.sees(lambda: seat.dialog == "Leave")
        await seat.hear(END)
        await seat.sees(lambda: seat.dialog == "End" and "events.parquet" in seat.text)
        assert "Run 7: GOOD" in seat.text
        await seat.press("escape")
        await seat.sees(lambda: not seat.dialog)
        await seat.wait(2)
        assert not seat.is_left
        await seat.press("q")
        await seat.sees(lambda: seat.is_left)


@in_a_loop
async def test_the_first_signal_stops_the_second_aborts_the_third_leaves():
    async with screens() as seat:
        seat.app.end_by_signal()
        await seat.sees(lambda: seat.state is State.STOPPING)
        seat.app.end_by_signal()
        await seat.sees(lambda: seat.state is State.ABORTING)
        seat.app.end_by_signal()
        await seat.sees(lambda: seat.is_left)
        assert seat.app.is_left_running


@in_a_loop
async def test_a_run_that_was_not_started_ends_the_screens_and_a_second_one_is_only_told():
    async with screens(State.CONFIGURED) as seat:
        await seat.hear(NotStarted("out of memory"))
        await seat.sees(lambda: seat.is_left)
        assert seat.app.not_started == "out of memory"
    async with screens(State.CONFIGURED) as seat:
        await seat.hear(END)
        await seat.sees(lambda: seat.dialog == "End")
        await seat.hear(NotStarted("out of memory"))
        await seat.press("escape")
        await seat.sees(lambda: not seat.dialog)
        await seat.press("3")
        await seat.sees(lambda: "out of memory" in seat.text)
        assert (seat.is_left, seat.app.not_started) == (False, "")


@in_a_loop
async def test_the_death_of_the_process_of_the_run_ends_the_screens():
    async with screens() as seat:
        await seat.hear(None)
        await seat.sees(lambda: seat.is_left)
        assert seat.app.is_lost
