"""The alarms that are on without configuration, raised and cleared by runs of real processes.

What a node measures goes over the wire to the screens, which judge it; nothing on the way is made up. The figures that
a test cannot have at will are given where the node reads them: the sensors of its computer and the step of its clock.
"""

import asyncio
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from embedded.screens import Terminal
from mimodaq.protocol.states import State
from mimodaq.system import CLOCK_STEP, write_file
from mimodaq.tui._app import OperatorApp
from mimodaq.tui.live import Address, open_feed
from mimodaq.watch import rules_from
from nodes.chain import wait_for_end
from nodes.real import Cluster, wait_for
from tui.console import in_a_loop

NODE = "daq1"
_PATIENCE_S = 80.0
MODULE = """
import time
from pathlib import Path

HERE = Path({here!r})


def pause(name):
    time.sleep(float((HERE / name).read_text()))


def paced():
    while True:
        pause("source")
        yield {{"x": 1.0}}


def paced_waves():
    while True:
        pause("source")
        yield {{"x": [1.0] * 20_000}}


def fifty_and_more():
    for name, count in (("first", 50), ("second", 10**9)):
        while not (HERE / name).exists():
            time.sleep(0.002)
        for _ in range(count):
            pause("source")
            yield {{"x": 1.0}}


def slow(event):
    pause("filter")
    return True


def save(io):
    path = io.run_dir / "raw"
    io.files(path)
    with path.open("wb", buffering=0) as file:
        while (event := io.reader.get()) is not None:
            file.write(event["x"].tobytes())
"""


class Lab(Cluster):
    """A broker and one node that reads the step of its clock, and the pace of its functions, from files."""

    def __init__(self, folder, before=()):
        """`before` are words in front of the command of the node."""
        self._before = before
        super().__init__(folder, [NODE])

    def environment_of(self, daemon):
        return {CLOCK_STEP: str(self.folder / f"{daemon}.clock_ns")}

    def _daemon(self, name, host, *arguments):
        return super()._daemon(
            name, SimpleNamespace(prefix=self._before) if name == f"node-{NODE}" else host, *arguments
        )

    def tell(self, **values):
        """Put values into files."""
        for name, value in values.items():
            write_file(self.folder / name, str(value).encode())

    def begin(self, source, *after, slots=24, values=1, **more):
        """Start everything and a run: a source, what reads its buffer, and what reads the buffer after that."""
        buffer = {
            "number_of_slots": slots,
            "channel_per_slot": values,
            "data_type": {1: ["x", "float64"]},
            "host": NODE,
        }
        names = [f"RB_{i + 1}" for i in range(len(after))]
        functions = []
        for i, function in enumerate((source, *after)):
            reads = {names[i - 1]: "read"} if i else {}
            writes = {names[i]: "write"} if i < len(names) else {}
            what = function if function == "drain" else f"own.py:{function}"
            functions.append({f"Fkt_{i + 1}": {"function": what, "host": NODE, "RB_assign": {**reads, **writes}}})
        setup = {**more, "RingBuffer": [{name: buffer} for name in names], "Functions": functions}
        session = self.start()
        answer = session.configure(self.write_setup(setup, own=MODULE.format(here=str(self.folder))))
        assert answer.ok, answer.text
        answer = session.ask("start")
        assert answer.ok, answer.text
        return session, answer.run


class Screens:
    """The operator's screens on the run of a lab, and the alarms they have."""

    def __init__(self, app, pilot):
        self.app, self.alarms = app, app.model.alarms
        self._pilot = pilot

    def all(self):
        """Rule and thing of every alarm that holds."""
        return {(a.rule.name, str(a.subject)) for a in self.alarms.all() if a.is_active}

    async def until(self, holds, seconds=_PATIENCE_S):
        give_up = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < give_up, (self.all(), self.app.model.snapshot)
            await asyncio.sleep(0.02)
            await self._pilot.pause()

    async def raised(self, *rules, about=NODE):
        await self.until(lambda: {(rule, about) for rule in rules} <= self.all())

    async def cleared(self, *rules):
        """Over, and still there, because nobody has acknowledged it."""
        await self.until(lambda: not {rule for rule, _ in self.all()} & set(rules))
        assert {alarm.rule.name for alarm in self.alarms.all()} >= set(rules)

    def text(self, rule):
        return next(alarm.text for alarm in self.alarms.all() if alarm.rule.name == rule)

    @property
    def running_s(self):
        cluster = self.app.model.snapshot.cluster
        return cluster.running_s if cluster else 0.0


@asynccontextmanager
async def screens(lab, **rules):
    """Sit down at the screens; `rules` change the default ones."""
    feed = await open_feed(Address(lab.address))
    app = OperatorApp(feed, rules=rules_from(rules), has_bell=False)
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            yield Screens(app, pilot)
    finally:
        await feed.close()


@pytest.fixture
def new_lab(tmp_path):
    made = []

    def make(**how):
        made.append(Lab(tmp_path, **how))
        made[0].tell(source=0.02, filter=0.0)
        return made[0]

    try:
        yield make
    finally:
        for lab in made:
            print(lab.logs())
            lab.close()


@pytest.fixture
def lab(new_lab):
    return new_lab()


def mounted(*words):
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """Where the node writes: 900 MB, until it is enlarged."""
    place = tmp_path / "data" / NODE
    place.mkdir(parents=True)
    mounted("-t", "tmpfs", "-o", "size=900m", "tmpfs", str(place))
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def sensor(tmp_path):
    """A sensor that only the node sees: words that show it the sensors of a folder, and how to set it."""
    zone = tmp_path / "sensors" / "thermal_zone0"
    zone.mkdir(parents=True)
    write_file(zone / "type", b"cpu\n")

    def reads(celsius):
        write_file(zone / "temp", b"%d\n" % (1000 * celsius))

    reads(50)
    others = "[ ! -d /sys/class/hwmon ] || mount -t tmpfs tmpfs /sys/class/hwmon"
    script = f'{others} && mount --bind "$0" /sys/class/thermal && exec "$@"'
    words = ("unshare", "--mount", "sh", "-c", script, str(zone.parent))
    done = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the sensors of this computer cannot be replaced: {done.stderr.strip()}")
    return words, reads


def test_dead_time_and_who_causes_it(lab):
    lab.tell(source=0.1, filter=0.4)
    lab.begin("paced", "slow", "drain")

    @in_a_loop
    async def watch():
        async with screens(lab) as seen:
            await seen.raised("blind", about="cluster")
            await seen.raised("blocked", about=f"{NODE} RB_1")
            assert "its writer waits" in seen.text("blocked")
            assert seen.text("blocked").endswith("of the time for Fkt_2")
            assert f"{NODE} RB_1 is full" in seen.text("blind")
            lab.tell(filter=0.15)
            await seen.raised("dead time", about="cluster")
            assert "blind" not in {rule for rule, _ in seen.all()}
            lab.tell(filter=0.0)
            await seen.cleared("blind", "dead time", "blocked")

    watch()


def test_a_clock_that_is_off(lab):
    session, run = lab.begin("paced", "drain")

    @in_a_loop
    async def watch():
        async with screens(lab) as seen:
            lab.tell(**{f"node-{NODE}.clock_ns": 2 * 10**9})
            await seen.raised("clock")
            assert "clock is off by -" in seen.text("clock")  # what must be added to its times
            lab.tell(**{f"node-{NODE}.clock_ns": 0})
            await seen.cleared("clock")

    watch()
    assert session.ask("stop").ok
    wait_for_end(session, run)
    clock = lab.record(run, NODE)["clock"]
    assert [round(jump["step_s"]) for jump in clock["jumped"]] == [-2, 2], "forth and back"
    assert (clock["jumps"], round(clock["offset_min_s"]), round(clock["offset_s"])) == (2, -2, 0)


def test_a_processor_that_is_hot(sensor, new_lab):
    words, reads = sensor
    lab = new_lab(before=words)
    lab.begin("paced", "drain")

    @in_a_loop
    async def watch():
        async with screens(lab) as seen:
            reads(78)
            await seen.raised("warm")
            assert seen.text("warm") == f"{NODE}: 78 °C"
            reads(90)
            await seen.raised("hot")
            reads(50)
            await seen.cleared("warm", "hot")

    watch()


def test_a_disk_that_fills_until_room_is_made(small_disk, lab):
    lab.begin("paced_waves", "save", values=20_000, disk={"reserve": "36 MB"})

    @in_a_loop
    async def watch():
        async with screens(lab, disk={"for_s": 2}) as seen:
            await seen.raised("disk full", "disk")
            assert "disk is full in" in seen.text("disk")
            mounted("-o", "remount,size=100g", str(small_disk))
            await seen.cleared("disk full", "disk")

    watch()


def test_a_rate_that_changes(lab):
    lab.tell(source=0.05)
    lab.begin("paced", "drain")

    @in_a_loop
    async def watch():
        async with screens(lab, rate={"for_s": 1}) as seen:
            seen.alarms.figures.learn_s = 6.0
            await seen.until(lambda: seen.running_s > 0)
            first = seen.running_s
            await seen.until(lambda: seen.running_s > first + 8)
            assert ("rate", f"{NODE} RB_1") not in seen.all()
            lab.tell(source=0.002)
            await seen.raised("rate", about=f"{NODE} RB_1")
            lab.tell(source=0.05)
            await seen.cleared("rate")

    watch()


ACTIONS = """
fifty:
  about: buffer
  when: committed == 50
  text: "{committed} are there"
  do: [log, bell, command, pause]
  command: [%s, -c, "import sys; open('told', 'w').write(sys.argv[1])"]
enough: {about: buffer, when: committed > 50, do: stop}
"""


def test_what_a_rule_wants_is_done_by_the_screens(lab):
    """Log, bell, command, pause and stop, each once, by `mimodaq tui --alarms` on a terminal."""
    session, run = lab.begin("fifty_and_more", "drain")
    (lab.folder / "alarms.yaml").write_text(ACTIONS % sys.executable)
    terminal = Terminal(lab.folder, lab.folder, ("tui", "--broker", lab.address, "--alarms", "alarms.yaml"))
    try:
        terminal.opens()
        terminal.press("3")
        terminal.sees("running")  # a line of the log
        assert "\a" not in terminal.text
        lab.tell(first="")
        wait_for(lambda: session.status().cluster.state is State.PAUSED, "for the pause")
        told = wait_for(lambda: (lab.folder / "told").exists() and (lab.folder / "told").read_text(), "for the command")
        assert told == f"{NODE} RB_1: 50 are there"
        terminal.sees("\a")
        terminal.sees("50 are there")
        assert session.run(run).verdict is None
        assert session.ask("resume").ok
        lab.tell(second="")
        wait_for_end(session, run)
        row = session.run(run)
        assert (row.verdict, row.end_reason) == ("good", "stopped by local")
        assert row.events > 50
        terminal.press("q")
        terminal.ends(0)
    except BaseException:
        print(terminal.text[-4000:])
        raise
    finally:
        terminal.close()
