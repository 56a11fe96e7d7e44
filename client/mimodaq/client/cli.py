"""The command `mimodaq`. Imports nothing heavy until a command needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mimodaq.client import _cluster_cli
from mimodaq.client._streams import prepare

app = typer.Typer(
    name="mimodaq",
    help="Data acquisition for lab courses and small experiments.\n\n"
    "Begin with: mimodaq init my_experiment --example template",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Setup = Annotated[Path, typer.Argument(help="Setup file, or a directory that holds one.", metavar="SETUP")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value: input=FILE, Fkt_2.config.threshold=0.05, RingBuffer.RB_1.number_of_slots=64.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"mimodaq {version('mimodaq')}")
        raise typer.Exit


@app.callback()
def common(
    _version_: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Data acquisition for lab courses and small experiments."""


@app.command()
def run(
    setup: Setup = Path("setup.yaml"),
    events: Annotated[
        int | None, typer.Option(min=1, help="Stop after exactly so many events of the first buffer.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option(help="Stop after this time: 30 s, 10 min, 2 h. Pauses do not count.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Run directory, instead of a new one in output_directory.")
    ] = None,
    set_: Set = None,
    headless: Annotated[bool, typer.Option("--headless", help="Plain lines instead of the screens.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No rates, only what is written to the log.")] = False,
    json_: Json = False,
    comment: _cluster_cli.Comment = "",
    optional: _cluster_cli.Optional = None,
    on_loss: _cluster_cli.OnLoss = None,
    broker: _cluster_cli.BrokerOrSetup = None,
    key: _cluster_cli.KeyFile = None,
    insecure: _cluster_cli.Insecure = False,
) -> None:
    """Take data: start every function of the setup, show rates, stop cleanly, write the record.

    On a terminal this opens the operator's screens: ? shows the keys, q leaves and asks what becomes of the run. A run
    that is left running is found again by mimodaq tui, status, stop.

    Without a terminal, or with --headless, --quiet, --json: lines. Keys: P pause, R resume, S or E stop. Ctrl-C stops
    and saves; a second Ctrl-C aborts.

    A setup with hosts is carried out by the node daemons of these hosts; --broker, or broker: in the setup, says where
    their broker is. --optional and --on-loss are for such setups. --json then tells what the broker knows: not run_dir,
    files, figures and live time, which are in run.json of each host.

    Exit codes: 0 the run is good, 1 it ended but is not good, 2 wrong usage or setup (see stderr).
    """
    from mimodaq.client._run import RunRequest, wants_screens

    overrides = list(set_ or [])
    if events is not None:
        overrides.append(f"runevents={events}")
    if duration is not None:
        overrides.append(f"runtime={duration}")
    request = RunRequest(
        setup, overrides, output, headless, json_, quiet, comment, broker, key, insecure, optional or (), on_loss
    )
    if wants_screens(request):
        from mimodaq.tui import run as carry_out
    else:
        from mimodaq.client._run import run as carry_out
    raise typer.Exit(carry_out(request))


@app.command()
def check(setup: Setup = Path("setup.yaml"), set_: Set = None, json_: Json = False) -> None:
    """Check a setup without taking data: keys, buffers, graph, modules, functions and their options."""
    from mimodaq.client._run import check as carry_out

    raise typer.Exit(carry_out(setup, set_ or [], json_))


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="New directory.", metavar="DIR")],
    example: Annotated[str, typer.Option(help="Which example: see mimodaq examples.")] = "template",
) -> None:
    """Begin an experiment: copy an example into a new directory."""
    from mimodaq.client import _examples
    from mimodaq.client._run import guarded

    raise typer.Exit(guarded(False, lambda: _examples.init(directory, example)))


@app.command()
def examples() -> None:
    """List the examples that init can copy."""
    from mimodaq.client._examples import names

    for name, line in names().items():
        print(f"{name:12} {line}")


@app.command()
def recover(
    paths: Annotated[
        list[Path], typer.Argument(help="Run directories or files of runs that were killed.", metavar="RUN")
    ],
    json_: Json = False,
) -> None:
    """Make the files of a killed run readable: turn journals into Parquet, cut torn lines. Harmless if repeated."""
    from mimodaq.client._recover import recover as carry_out

    raise typer.Exit(carry_out(paths, json_))


@app.command()
def replay(
    run_: Annotated[Path, typer.Argument(help="Run directory.", metavar="RUN")],
    output: Annotated[Path | None, typer.Option(help="Run directory of the new run.")] = None,
    speed: Annotated[str, typer.Option(help="full, recorded, or a factor such as 10.")] = "full",
    set_: Set = None,
    headless: Annotated[bool, typer.Option("--headless", help="Plain lines instead of the live table.")] = False,
    json_: Json = False,
) -> None:
    """Run the setup of a recorded run again on its recorded events."""
    from mimodaq.client._replay import replay as carry_out

    raise typer.Exit(carry_out(run_, output, speed, set_ or [], headless, json_))


@app.command()
def compare(
    one: Annotated[Path, typer.Argument(help="Run directory.", metavar="RUN")],
    other: Annotated[Path, typer.Argument(help="Another one, such as that of its replay.", metavar="OTHER")],
    json_: Json = False,
) -> None:
    """Say of each output of two runs whether it is the same: byte for byte, or which event differs.

    Exit codes: 0 all the same, 1 something differs, 2 one of them is no run.
    """
    from mimodaq.client._compare import compare as carry_out

    raise typer.Exit(carry_out(one, other, json_))


@app.command()
def rebuild(
    file: Annotated[Path, typer.Argument(help="Data file or dataset: Parquet, or tar.", metavar="FILE")],
    folder: Annotated[
        Path | None, typer.Argument(help="New directory, by default SETUP-runN.", metavar="FOLDER")
    ] = None,
) -> None:
    """Make the setup directory, with all modules, out of a data file alone.

    The modules are programs: look at them before you run what somebody has sent you.
    """
    from mimodaq.client._rebuild import rebuild as carry_out

    raise typer.Exit(carry_out(file, folder))


@app.command()
def bench(
    what: Annotated[str, typer.Argument(help="ring, link, write, run, cluster, broker, scope, tui, or all.")] = "all",
    json_: Json = False,
) -> None:
    """Measure this machine: rings, links, writers, runs as ratios to limits measured in the same run."""
    from mimodaq.client.bench import bench as carry_out

    raise typer.Exit(carry_out(what, json_))


@app.command()
def queue(
    file: Annotated[Path, typer.Argument(help="File that lists the runs.", metavar="FILE")] = Path("queue.yaml"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check every setup, show the runs, and begin nothing.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Show what has become of each run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No rates.")] = False,
    json_: Json = False,
    broker: _cluster_cli.BrokerOrSetup = None,
    key: _cluster_cli.KeyFile = None,
    insecure: _cluster_cli.Insecure = False,
) -> None:
    """Take runs with changed parameters one after another, as FILE lists them.

    After a crash of anything, the same command goes on where it was: a run that goes on is waited for, one that was
    killed is recovered and repeated. Ctrl-C stops the run and the queue; a second one leaves the run alone.

    Exit codes: 0 all runs are done and good, 1 not all, 2 wrong usage, file or setup.
    """
    from mimodaq.client._cluster_commands import Where
    from mimodaq.client._queue import QueueRequest
    from mimodaq.client._queue import queue as carry_out

    where = Where.typed(broker, key, insecure)
    raise typer.Exit(carry_out(QueueRequest(file, dry_run, status, json_, quiet, where)))


@app.command()
def doctor(
    setup: Annotated[
        Path | None, typer.Argument(help="Setup file: what it needs is looked at as well.", metavar="[SETUP]")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.0, metavar="HZ", help="Expected rate of triggers: can disk and network do it?")
    ] = None,
    set_: Set = None,
    broker: _cluster_cli.BrokerOrSetup = None,
    key: _cluster_cli.KeyFile = None,
    insecure: _cluster_cli.Insecure = False,
    ssh_port: Annotated[int, typer.Option(help="Where SSH listens on the hosts.")] = 22,
    json_: Json = False,
) -> None:
    """See what a run needs: this computer, setup, broker, hosts, clocks, network, scopes. Each fault has its remedy.

    Without a setup: this computer, its scopes, and the cluster of --broker. It writes 64 MB to a file that is gone
    afterwards, and gets 8 MB from the broker.

    Exit codes: 0 no fault (there may be warnings), 1 something is to be repaired, 2 wrong usage.
    """
    from mimodaq.client._cluster_commands import Where
    from mimodaq.client._doctor import DoctorRequest
    from mimodaq.client._doctor import doctor as carry_out

    where = Where.typed(broker, key, insecure)
    if setup is not None:
        where = where.of_setup_at(setup, set_ or ())
    raise typer.Exit(carry_out(DoctorRequest(setup, set_ or [], rate, where, broker is not None, json_, ssh_port)))


@app.command()
def node(
    name: Annotated[str, typer.Argument(help="Name of this host in setups (hosts:).", metavar="NAME")],
    broker: Annotated[
        str, typer.Option(help="Address of the broker: HOST or HOST:PORT.", envvar="MIMODAQ_BROKER")
    ] = "127.0.0.1",
    data: Annotated[Path, typer.Option(help="Runs are written below this directory.")] = Path(),
    state: Annotated[
        Path | None, typer.Option(help="Directory for what must survive a restart; one for each node of a computer.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key file of this host, see mimodaq keys.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Plain TCP to other hosts: anybody on the network can read and write.")
    ] = False,
) -> None:
    """Be one host of a cluster: make rings, run functions and links, as the broker says.

    It goes on without a broker, and takes its run over again after a restart. SIGTERM or Ctrl-C makes it leave.
    """
    from mimodaq.client._node import NodeRequest
    from mimodaq.client._node import node as carry_out

    raise typer.Exit(carry_out(NodeRequest(name, broker, state, data, key, insecure)))


@app.command()
def chaos(
    demo: Annotated[
        bool, typer.Option("--demo", help="Break a small cluster that is made for it on this computer.")
    ] = False,
    yes_break: Annotated[
        str | None,
        typer.Option("--yes-break", metavar="ADDRESS", help="Break the cluster of this broker; the same as --broker."),
    ] = None,
    faults: Annotated[int, typer.Option(min=1, help="So many faults ...")] = 20,
    minutes: Annotated[float, typer.Option(min=0.01, help="... within this time.")] = 1.0,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same schedule.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Only this kind, such as kill-link; may be repeated.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print the schedule and break nothing.")] = False,
    json_: Json = False,
    broker: _cluster_cli.Broker = _cluster_cli.HERE,
    key: _cluster_cli.KeyFile = None,
    insecure: _cluster_cli.Insecure = False,
) -> None:
    """Break a cluster on purpose, and account for every event afterwards.

    Cuts cables, kills and stalls workers, links and daemons, fills disks, sets clocks, sends garbage: whatever of it is
    possible here. Only processes of that cluster on this computer are touched, and a cluster that is in use only if its
    address is typed twice.

    Exit codes: 0 every event is accounted for, 1 it is not, 4 refused.
    """
    from mimodaq.chaos import ChaosRequest
    from mimodaq.chaos import chaos as carry_out
    from mimodaq.client._cluster_commands import Where

    where = Where(broker, key, insecure)
    raise typer.Exit(carry_out(ChaosRequest(where, demo, yes_break, faults, minutes, seed, only or (), plan, json_)))


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def tui(context: typer.Context) -> None:
    """The operator's screens: run control, figures, alarms, events. Leaving never touches a run. See tui --help."""
    from mimodaq.tui import main as carry_out

    raise typer.Exit(carry_out(context.args))


_cluster_cli.register(app)


def main() -> None:
    """Entry point of the command."""
    prepare()
    try:
        app(prog_name="mimodaq")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)


if __name__ == "__main__":
    main()
