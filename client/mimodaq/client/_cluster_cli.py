"""The commands for a cluster: broker, keys, run control, looking. Imports nothing heavy until a command needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

Broker = Annotated[
    str,
    typer.Option(
        "--broker",
        envvar="MIMODAQ_BROKER",
        metavar="ADDRESS[:PORT]",
        help="Where the broker is: HOST, HOST:PORT or ipc:///FOLDER.",
        show_default=True,
    ),
]
BrokerOrSetup = Annotated[
    str | None,
    typer.Option(
        "--broker",
        envvar="MIMODAQ_BROKER",
        metavar="ADDRESS[:PORT]",
        help="Where the broker is: HOST, HOST:PORT or ipc:///FOLDER. [default: what the setup says, or 127.0.0.1]",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key", envvar="MIMODAQ_KEY", metavar="FILE", help="Key file; without it the only one in the key folder."
    ),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Talk to another host without keys: everybody can listen and command.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")]
Optional = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST",
        help="A host that a run can do without; may be repeated. [default: those of role: optional in the setup]",
    ),
]
OnLoss = Annotated[
    str | None,
    typer.Option(help="What the loss of any other host does to a run: pause or stop. [default: pause]"),
]
Comment = Annotated[str, typer.Option(help="A remark that is kept with the run.")]
State = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="The broker's folder (MIMODAQ_STATE/broker).")
]
HERE = "127.0.0.1"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    commands: dict[str, Callable[..., None]] = {
        "broker": broker,
        "configure": configure,
        "arm": arm,
        "start": start,
        "pause": pause,
        "resume": resume,
        "stop": stop,
        "abort": abort,
        "reset": reset,
        "shutdown": shutdown,
        "take": take,
        "surrender": surrender,
        "mark": mark,
        "status": status,
        "logs": logs,
        "runs": runs,
        "observe": observe,
        "plot": plot,
    }
    for name, function in commands.items():
        app.command(name)(function)
    app.add_typer(_keys, name="keys")


_keys = typer.Typer(no_args_is_help=True, help="Make and revoke the keys of hosts, operators and observers.")


@_keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Name of the person, or of the host as in the setup.", metavar="NAME")],
    role: Annotated[str, typer.Option(help="host, operator (may command) or observer (may watch).")],
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where the key file goes (MIMODAQ_KEYS).")
    ] = None,
    state: State = None,
    json_: Json = False,
) -> None:
    """Make a key on the broker's host. The owner needs exactly the file that is printed; copy it safely."""
    from mimodaq.client import _keys_commands as commands

    raise typer.Exit(commands.create(name, role, directory, state, json_))


@_keys.command("list")
def keys_list(state: State = None, json_: Json = False) -> None:
    """List the keys that are valid."""
    from mimodaq.client import _keys_commands as commands

    raise typer.Exit(commands.list_(state, json_))


@_keys.command("revoke")
def keys_revoke(
    name: Annotated[str, typer.Argument(help="Whose key.", metavar="NAME")],
    state: State = None,
    json_: Json = False,
) -> None:
    """Take a key back; a running broker notices within a second."""
    from mimodaq.client import _keys_commands as commands

    raise typer.Exit(commands.revoke(name, state, json_))


def broker(
    bind: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all networks, ipc:///FOLDER.")
    ] = HERE,
    port: Annotated[int | None, typer.Option(min=0, help="First of two ports; 0 = any. [default: 7788]")] = None,
    state: State = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen for other hosts without keys: everybody there can command.")
    ] = False,
    metrics: Annotated[
        int | None, typer.Option(min=0, metavar="PORT", help="Serve figures for Prometheus at this port; 0 = any.")
    ] = None,
    metrics_bind: Annotated[str, typer.Option(metavar="ADDRESS", help="Address for --metrics.")] = HERE,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="The log of the cluster on stderr as JSON, an object a line.")
    ] = False,
) -> None:
    """Be the broker of a cluster until Ctrl-C or shutdown.

    Runs go on without it, and it may be started again at any time.
    """
    from mimodaq.client._broker_command import BrokerRequest
    from mimodaq.client._broker_command import broker as carry_out

    raise typer.Exit(carry_out(BrokerRequest(bind, port, state, insecure, metrics, metrics_bind, log_json)))


def configure(
    setup: Annotated[Path, typer.Argument(help="Setup file, or a directory that holds one.", metavar="SETUP")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value, as with mimodaq run.")
    ] = None,
    optional: Optional = None,
    on_loss: OnLoss = None,
    json_: Json = False,
    broker: BrokerOrSetup = None,
    key: KeyFile = None,
    insecure: Insecure = False,
) -> None:
    """Send a setup with your modules to all its hosts, and have it loaded and checked there."""
    from mimodaq.client import _cluster_commands as commands

    where = commands.Where.typed(broker, key, insecure)
    raise typer.Exit(commands.configure(where, setup, set_ or (), optional or (), on_loss, json_))


def arm(
    comment: Comment = "", json_: Json = False, broker: Broker = HERE, key: KeyFile = None, insecure: Insecure = False
) -> None:
    """Take a run number, make buffers and links, start the workers; the sources are held."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.ask(commands.Where(broker, key, insecure), "arm", json_, comment=comment))


def start(
    comment: Comment = "", json_: Json = False, broker: Broker = HERE, key: KeyFile = None, insecure: Insecure = False
) -> None:
    """Start a run on all hosts or on none; shows what is being waited for.

    Ctrl-C ends the waiting, not the run.
    """
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.ask(commands.Where(broker, key, insecure), "start", json_, comment=comment))


def pause(json_: Json = False, broker: Broker = HERE, key: KeyFile = None, insecure: Insecure = False) -> None:
    """Hold the sources; all else goes on."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.ask(commands.Where(broker, key, insecure), "pause", json_))


def resume(json_: Json = False, broker: Broker = HERE, key: KeyFile = None, insecure: Insecure = False) -> None:
    """Let the sources go again."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.ask(commands.Where(broker, key, insecure), "resume", json_))


def stop(
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end; print verdict and ledger.")] = True,
    json_: Json = False,
    broker: Broker = HERE,
    key: KeyFile = None,
    insecure: Insecure = False,
) -> None:
    """Stop the run: sources off, buffers drained, files closed. Always ends, by force if need be.

    Exit codes: 0 the run is good, 1 it is not.
    """
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.end(commands.Where(broker, key, insecure), "stop", wait, json_))


def abort(json_: Json = False, broker: Broker = HERE, key: KeyFile = None, insecure: Insecure = False) -> None:
    """End the run at once; events may be left in buffers."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.end(commands.Where(broker, key, insecure), "abort", True, json_))


def reset(json_: Json = False, broker: Broker = HERE, key: KeyFile = None, insecure: Insecure = False) -> None:
    """Abort whatever goes on, and forget the setup: the way out of every error."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.ask(commands.Where(broker, key, insecure), "reset", json_))


def shutdown(json_: Json = False, broker: Broker = HERE, key: KeyFile = None, insecure: Insecure = False) -> None:
    """End the node daemons and the broker."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.ask(commands.Where(broker, key, insecure), "shutdown", json_))


def take(
    force: Annotated[bool, typer.Option("--force", help="Also from whoever is in charge now.")] = False,
    json_: Json = False,
    broker: Broker = HERE,
    key: KeyFile = None,
    insecure: Insecure = False,
) -> None:
    """Take charge: only one operator at a time may command. The first command takes it if nobody has it."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.ask(commands.Where(broker, key, insecure), "take", json_, force=force))


def surrender(json_: Json = False, broker: Broker = HERE, key: KeyFile = None, insecure: Insecure = False) -> None:
    """Put nobody in charge, so that another operator can command."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.ask(commands.Where(broker, key, insecure), "surrender", json_))


def mark(
    text: Annotated[str, typer.Argument(help="What has happened.", metavar="TEXT")],
    json_: Json = False,
    broker: Broker = HERE,
    key: KeyFile = None,
    insecure: Insecure = False,
) -> None:
    """Write a remark into the log of the cluster, with time, run and name; nobody needs to be in charge."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.ask(commands.Where(broker, key, insecure), "mark", json_, comment=text))


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C, drawn in place on a terminal.")] = False,
    json_: Json = False,
    broker: Broker = HERE,
    key: KeyFile = None,
    insecure: Insecure = False,
) -> None:
    """Show the state of the cluster: run, hosts, buffers with rate, fill and dead time, links, clocks."""
    from mimodaq.client._cluster_commands import Where
    from mimodaq.client._status_command import status as carry_out

    raise typer.Exit(carry_out(Where(broker, key, insecure), watch, json_))


def logs(
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, max=10_000, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    json_: Json = False,
    broker: Broker = HERE,
    key: KeyFile = None,
    insecure: Insecure = False,
) -> None:
    """Show the log of the whole cluster."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.logs(commands.Where(broker, key, insecure), lines, follow, json_))


def runs(
    run: Annotated[int | None, typer.Argument(min=1, help="All about one run.", metavar="[RUN]")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the last runs.")] = 20,
    json_: Json = False,
    broker: Broker = HERE,
    key: KeyFile = None,
    insecure: Insecure = False,
) -> None:
    """List the runs in the broker's database, newest first, or tell all about one."""
    from mimodaq.client import _cluster_commands as commands

    raise typer.Exit(commands.runs(commands.Where(broker, key, insecure), run, limit, json_))


def observe(
    buffer: Annotated[str, typer.Argument(help="Buffer (or ring, such as RB_1~Fkt_2).", metavar="BUFFER")],
    node: Annotated[str | None, typer.Option(metavar="HOST", help="On this host; else where the buffer lives.")] = None,
    events: Annotated[int, typer.Option("-n", "--events", min=0, help="So many; 0 = until the run ends.")] = 0,
    broker: Broker = HERE,
    key: KeyFile = None,
    insecure: Insecure = False,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object an event, with all samples.")] = False,
) -> None:
    """Look at events as they come, of any host. Copies at a limited rate: nothing waits for who looks on."""
    from mimodaq.client import _cluster_commands as commands
    from mimodaq.client._observe import observe as carry_out

    raise typer.Exit(carry_out(commands.Where(broker, key, insecure), buffer, node, events, json_))


def plot(
    context: typer.Context,
    buffer: Annotated[str, typer.Argument(help="Buffer (or ring, such as RB_1~Fkt_2).", metavar="BUFFER")],
    hist: Annotated[
        list[str] | None,
        typer.Option("--hist", metavar="FIELD", help="A histogram of this field; may be repeated."),
    ] = None,
    bins: Annotated[int | None, typer.Option(metavar="N", help="Bins of the histograms.")] = None,
    range_: Annotated[
        tuple[float, float] | None, typer.Option("--range", metavar="LOW HIGH", help="Range of the histograms.")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="A logarithmic scale; the key l changes it.")] = False,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Earlier events stay behind the newest; the key o changes it.")
    ] = False,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Write a picture (png, svg, pdf), open no window.")
    ] = None,
    look: Annotated[
        float, typer.Option(metavar="S", min=0.0, help="With --png: look for so many seconds before the picture.")
    ] = 0.0,
    run: Annotated[
        str, typer.Option(metavar="RUN", help="Which of several runs on this computer: number or directory.")
    ] = "",
    node: Annotated[str | None, typer.Option(metavar="HOST", help="On this host; else where the buffer lives.")] = None,
    broker: Broker = HERE,
    key: KeyFile = None,
    insecure: Insecure = False,
) -> None:
    """Open a window on a buffer: waveforms as on an oscilloscope, or histograms. Needs mimodaq[plot].

    Looks at a run on this computer that has such a buffer, or else at the cluster of the broker; with --broker or
    --node only there. It holds up nothing, closing it never touches the run, and it stays when the run has ended.

    Keys: space freezes, o overlays events, l logarithmic scale, s saves, q closes. A buffer of numbers is shown as
    histograms of all its fields: of every event where a function of the run counts them, else of a sample.
    """
    from mimodaq.client import _cluster_commands as commands
    from mimodaq.client._plot import PlotRequest
    from mimodaq.client._plot import plot as carry_out

    is_broker_named = str(context.get_parameter_source("broker")).endswith(("COMMANDLINE", "ENVIRONMENT"))
    request = PlotRequest(buffer, tuple(hist or ()), bins, range_, node, run, log, overlay, png, look)
    raise typer.Exit(carry_out(commands.Where(broker, key, insecure), is_broker_named, request))
