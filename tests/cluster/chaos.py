"""Seeded schedules of commands and faults for the simulated cluster.

One schedule again, with its history: `CHAOS_SEED=17 python -m pytest tests/cluster/test_chaos.py -s`.
"""

from collections.abc import Callable

from cluster.simulation import Simulation
from mimodaq.protocol.parts import OnLoss
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.states import State
from mimodaq.protocol.testing import Weather

COMMANDS = ("configure", "configure", "arm", "start", "start", "start", "pause", "resume", "stop", "abort", "reset")
FAULTS = ("daemon", "daemon", "broker", "reboot", "cut", "cut", "hang", "worker", "exhaust", "stuck", "weather")
SETUPS = ("aaaaaaaa", "bbbbbbbb")
CLIENTS = ("anna-1", "anna-1", "anna-2", "anna-2", "ben-1", "guest")


def simulation_of(seed: int, cluster: Callable[..., Simulation]) -> Simulation:
    """The cluster of a seed, made by the fixture; in one of twenty, messages are real bytes, which takes longer."""
    return cluster(seed, with_codec=seed % 20 == 0)


def play(seed: int, cluster: Callable[..., Simulation], tell: Callable[[str], None] = lambda text: None) -> None:
    """Play the schedule of a seed; an error names the command that plays it again."""
    try:
        Schedule(simulation_of(seed, cluster), tell).play()
    except Exception as error:
        error.add_note(f"again: CHAOS_SEED={seed} python -m pytest tests/cluster/test_chaos.py -s")
        raise


class Schedule:
    """What happens in one seed."""

    def __init__(self, sim: Simulation, tell: Callable[[str], None]) -> None:
        self.sim, self.world, self.rng, self.tell = sim, sim.world, sim.world.rng, tell
        self.is_quiet = False

    def play(self) -> None:
        """Commands and faults for a while, then peace; in the end everything must work again."""
        sim, rng = self.sim, self.rng
        sim.world.run(4.5)
        if rng.random() < 0.9:
            self.command("configure", "anna-1")
            sim.world.run(1.5)
        if rng.random() < 0.8:
            self.command("start", "anna-1")
            sim.world.run(rng.random() * 3)
        self.weather()
        if rng.random() < 0.3:
            for host in sim.hosts.values():
                host.is_faulty = rng.random() < 0.3
        for _ in range(rng.randint(2, 10)):
            if rng.random() < 0.4:
                self.command(rng.choice(COMMANDS), rng.choice(CLIENTS))
            else:
                self.fault(rng.choice(FAULTS))
            sim.world.run(rng.random() ** 3 * 10)
        self.make_peace()
        self.expect_order()

    def command(self, name: str, client: str) -> None:
        rng = self.rng
        arguments = {}
        if name == "configure":
            arguments = {
                "setup_id": rng.choice(SETUPS),
                "optional": ("ana",) if rng.random() < 0.3 else (),
                "on_loss": rng.choice(list(OnLoss)),
            }
        self.tell(f"{self.world.now:.2f} {client}: {name} {arguments}")
        self.sim.ask(client, name, operator=client.partition("-")[0], may_command=client != "guest", **arguments)

    def weather(self) -> None:
        rng = self.rng
        bad = rng.random() < 0.6
        self.sim.network.weather = (
            Weather(rng.random() * 0.3, rng.random() * 0.3, rng.random() * 0.3, rng.random() * 6) if bad else Weather()
        )

    def fault(self, name: str) -> None:
        sim, rng, world = self.sim, self.rng, self.world
        host = rng.choice(list(sim.hosts.values()))
        for_s = rng.random() ** 2 * 20
        self.tell(f"{world.now:.2f} fault: {name} {host.name} {for_s:.1f} s; {self.describe()}")
        match name:
            case "daemon":
                self.kill(host)
                world.after(for_s, host.boot)
            case "broker":
                self.kill(sim.broker)
                world.after(for_s, sim.broker.boot)
            case "reboot":
                host.reboot()
                world.after(for_s, host.boot)
            case "cut":
                place = rng.choice((host.name, host.name, "broker"))
                sim.network.cut.add(place)
                world.after(for_s, lambda: sim.network.cut.discard(place))
            case "hang":
                host.is_stopped = True
                world.after(for_s, host.go_on)
            case "worker":
                for worker in [w for w, process in host.workers.items() if not process.is_finished][:1]:
                    host.leave(worker, "segmentation fault", fatal=rng.random() < 0.2)
            case "stuck":
                host.is_stuck = True
                world.after(for_s * 10, lambda: setattr(host, "is_stuck", False))
            case "exhaust":
                host.budget = 3
            case "weather":
                self.weather()

    def kill(self, daemon) -> None:
        """Now, or in the middle of what it does next."""
        if self.rng.random() < 0.5:
            daemon.effects_left = self.rng.randint(0, 3)
        else:
            daemon.crash()

    def make_peace(self) -> None:
        """All faults end."""
        sim = self.sim
        self.tell(f"{self.world.now:.2f} peace; {self.describe()}")
        self.world.run(7.0)  # what is late arrives
        sim.network.cut.clear()
        sim.network.weather = Weather()
        for host in sim.hosts.values():
            host.effects_left, host.is_faulty, host.is_stuck, host.budget = None, False, False, 10**9
            host.go_on()
            host.boot()
        sim.broker.effects_left = None
        sim.broker.boot()

    def expect_order(self) -> None:
        """Everybody agrees, and a run works from beginning to end."""
        sim, world = self.sim, self.world
        assert world.run_until(sim.is_settled, 400.0, 0.5), f"never settles: {self.describe()}"
        brain = sim.broker.brain
        assert sim.do("take", force=True).ok
        if brain.aim in (State.RUNNING, State.PAUSED, State.READY):
            assert len({host.run for host in sim.hosts.values()} - {None}) == 1, self.describe()
            run = brain.books.run
            answer = sim.do("stop", 200.0)
            assert answer.ok, answer.text
            assert sim.broker.rows[run].verdict is not None
        answer = sim.do("reset", 200.0)
        assert answer.ok, answer.text
        assert all(host.brain.state is State.IDLE and not host.rings for host in sim.hosts.values()), self.describe()
        is_open = [run for run, row in sim.broker.rows.items() if row.verdict is None and run == max(sim.broker.rows)]
        assert not is_open, f"run {is_open} is still open"
        answer = sim.do("configure", setup_id="aaaaaaaa")
        assert answer.ok, answer.text
        answer = sim.do("start")
        assert answer.ok, answer.text
        world.run(2.0)
        assert {host.brain.state for host in sim.hosts.values()} == {State.RUNNING}
        answer = sim.do("stop")
        assert answer.ok, answer.text
        row = sim.broker.rows[max(sim.broker.rows)]
        assert row.verdict is Verdict.GOOD, row.reasons

    def describe(self) -> str:
        sim = self.sim
        brain = sim.broker.brain
        aim = (
            f"{brain.aim.value}/{brain.state().value} run {brain.books.run if brain.books else None}"
            if brain
            else "dead"
        )
        hosts = {h.name: (h.brain.state.value if h.brain else "dead", h.run) for h in sim.hosts.values()}
        return f"broker {aim}, hosts {hosts}"
