"""The commands of a cluster, as typed: what they say, where, and how they end."""

import json
import re
import subprocess
import sys

import pytest

from broker.running import wait_until
from mimodaq.client.session import Session
from mimodaq.protocol.states import State
from session.terminal import Shell


def test_the_help_needs_no_sockets():
    code = (
        "import sys, mimodaq.client.cli as cli\n"
        "try: cli.app(['start', '--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('zmq', 'msgpack', 'numpy', 'yaml', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_from_the_shell(ready):
    started = ready("start", "--comment", "first light")
    assert started.stdout == "run 1 is running\n"
    assert "start: arming, waiting for" in started.stderr
    assert ready("pause").stdout == "the sources are held\n"
    assert ready("resume").stdout == "the sources are running\n"
    stopped = ready("stop")
    assert stopped.stdout.startswith("run 1: good, ")
    assert "comment: first light" in stopped.stdout
    assert re.search(r"daq1 +RB_1 +to:ana1 .* ok", stopped.stdout)
    assert re.search(r"RB_1:daq1>ana1 +daq1 +acknowledged", stopped.stdout)
    runs = ready("runs").stdout.splitlines()
    assert len(runs) == 2
    assert "good" in runs[1]
    assert ready("runs", "1").stdout == stopped.stdout
    (run,) = json.loads(ready("runs", "--json").stdout)["runs"]
    assert (run["run"], run["verdict"], run["comment"]) == (1, "good", "first light")
    assert len(json.loads(ready("runs", "1", "--json").stdout)["accounts"]) == 2


def test_a_run_that_is_not_good_ends_with_one(ready):
    ready("arm")
    ready("start")
    aborted = ready("abort", expect=1)
    assert aborted.stdout.startswith("run 1: aborted, ")
    assert "aborted by local" in aborted.stdout


def test_a_stop_need_not_be_waited_for(ready):
    ready("start")
    assert "see mimodaq status --watch" in ready("stop", "--no-wait").stdout
    wait_until(lambda: "good" in ready("runs").stdout, "the run does not end")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("pause",), "pause is not possible while configured: there is no run"),
        (("stop",), "stop is not possible while configured: there is no run"),
        (("surrender", "--key", "nobody.key"), "there is no key file nobody.key"),
    ],
)
def test_a_refusal_is_told_on_stderr(ready, command, words):
    expect = 2 if "--key" in command else 4
    done = ready(*command, expect=expect)
    assert words in done.stderr
    assert done.stdout == ""


def test_charge_is_taken_and_given(ready):
    assert ready("take").stdout == "take: done\n"
    assert ready("surrender").stdout == "surrender: done\n"
    assert "local is not in charge" in ready("surrender", expect=4).stderr
    assert ready("reset").stdout == "everything is reset\n"


def test_no_broker_ends_with_three(tmp_path):
    shell = Shell(tmp_path, "127.0.0.1:1")
    done = shell("status", "--json", expect=3)
    assert "no broker answers at 127.0.0.1:1" in done.stderr
    assert "no broker answers" in json.loads(done.stdout)["error"]
    assert "start one there" in shell("start", expect=3).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("configure", "missing.yaml"), "there is no such file"),
        (("configure", "setup.yaml", "--on-loss", "cry"), "--on-loss cry: there are pause, stop"),
        (("status", "--broker", "a b"), "'a b' is no address of a broker"),
        (("status", "--broker", "10.255.255.1"), "a key is needed"),
        (("keys", "create", "anna", "--role", "king"), "--role king: there are host, operator, observer"),
        (("keys", "revoke", "anna"), "has no key 'anna'"),
        (("broker", "--bind", "x y"), "is no address"),
        (("broker", "--bind", "192.0.2.1", "--insecure"), "if the address is not one of this host, another --bind"),
    ],
)
def test_wrong_use_ends_with_two(shell, arguments, words):
    assert words in shell(*arguments, expect=2).stderr


def test_mistakes_in_a_setup_are_named_with_their_lines(shell, setup_file):
    setup_file.write_text(setup_file.read_text().replace("number_of_slots", "number_of_slits"))
    done = shell("configure", setup_file, expect=2)
    assert (
        "experiment/setup.yaml:6: unknown key 'number_of_slits' in RB_1 (did you mean 'number_of_slots'?)"
        in done.stderr
    )


def test_the_log_as_text_and_as_json(ready):
    text = ready("logs", "-n", "3").stdout.splitlines()
    assert len(text) == 3
    lines = json.loads(ready("logs", "--json").stdout)["lines"]
    assert any("listens on" in line["text"] for line in lines)
    with ready.started("logs", "--follow") as follow:
        follow.hears("listens on")
        ready("start")
        follow.hears("run 1 is running")
        follow.interrupt()
        follow.ends(0)
    ready("stop")


def test_the_status_as_text_and_as_json(ready):
    ready("start")
    wait_until(lambda: "RB_1:daq1>ana1" in ready("status").stdout, "the links are not shown")
    text = ready("status").stdout
    assert re.search(r"^running.* run 1 ", text, re.MULTILINE)
    assert re.search(r"^daq1 +running +\+0\.1 ms +50% +25% +10 GB +41 °C", text, re.MULTILINE)
    assert re.search(r"^RB_1 +daq1 +[\d\u202f]+ +500 Hz +4 kB/s +25% +10\.0% +Fkt_2", text, re.MULTILINE)
    assert re.search(r"^RB_1:daq1>ana1 +ana1 +up +500 Hz +4 kB/s +3 +2 +0 +0 +1\.0 ms", text, re.MULTILINE)
    status = json.loads(ready("status", "--json").stdout)
    assert status["cluster"]["state"] == "running"
    assert status["me"]["role"] == "operator"
    assert set(status["reports"]) == {"daq1", "ana1"}
    ready("stop")


def test_watching_through_a_pipe_gives_a_line_each_second(ready):
    with ready.started("status", "--watch") as watch:
        watch.hears("configured | ana1 configured | daq1 configured\n", times=2)
        ready("start")
        watch.hears("running | run 1")
        watch.interrupt()
        watch.ends(0)
    ready("stop")


def test_watching_on_a_terminal_is_drawn_in_place(ready):
    with ready.started("status", "--watch", on_terminal=True) as watch:
        watch.hears("in charge: local")
        ready("start")
        watch.hears("because of")
        watch.hears("run 1 is running")
        assert "\x1b[1A" in watch.raw, "the cursor goes up"
        ready.nodes.do(lambda: setattr(ready.nodes.by_name["ana1"], "is_silent", True))
        watch.hears("ana1 is lost")
        watch.hears("offline")
        watch.interrupt()
        watch.ends(0)


def test_leaving_the_waiting_leaves_the_command_going_on(ready):
    ready.nodes.do(lambda: setattr(ready.nodes.by_name["ana1"], "is_deaf", True))
    with ready.started("start") as start:
        start.hears("start: arming, waiting for ana1")
        start.interrupt()
        start.ends(130)
        assert "if start has reached the broker, it goes on by itself" in start.said
    ready.nodes.do(lambda: setattr(ready.nodes.by_name["ana1"], "is_deaf", False))
    wait_until(lambda: '"running"' in ready("status", "--json").stdout, "the start does not go on")
    ready("stop")


def test_what_is_waited_for_is_drawn_in_place_on_a_terminal(ready):
    ready.nodes.do(lambda: setattr(ready.nodes.by_name["ana1"], "is_deaf", True))
    with ready.started("start", on_terminal=True) as start:
        start.hears("start: arming for 1 s, waiting for ana1 (Ctrl-C ends the waiting only)")
        ready.nodes.do(lambda: setattr(ready.nodes.by_name["ana1"], "is_deaf", False))
        start.ends(0)
        assert start.said.rstrip().endswith("run 1 is running")
    ready("stop")


def test_a_broker_that_dies_while_watched_is_shown_as_silent_and_found_again(broker_process, tmp_path):
    first = broker_process()
    shell = Shell(tmp_path, first.address)
    with shell.started("status", "--watch") as watch:
        watch.hears("idle")
        first.kill()
        watch.hears("broker not heard for 2 s | idle")
        broker_process(port=first.port)
        before = watch.said.count("\nidle")
        watch.hears("\nidle", times=before + 1)


def test_who_follows_the_log_is_told_every_line_once_also_of_a_broker_that_is_started_again(broker_process, tmp_path):
    first = broker_process()
    shell = Shell(tmp_path, first.address)
    with shell.started("logs", "--follow") as follow:
        follow.hears("there is no run")
        first.kill()
        broker_process(port=first.port)
        follow.hears("there is no run", times=2)
        follow.interrupt()
        follow.ends(0)
    told = [line for line in follow.said.splitlines() if " broker: " in line]
    kept = shell("logs").stdout.splitlines()
    assert told == kept[: len(told)]


def test_keys_from_the_shell(tmp_path):
    shell = Shell(tmp_path)
    made = shell("keys", "create", "anna", "--role", "operator")
    assert made.stdout == f"{tmp_path}/keys/anna.key\n"
    assert "copy it safely" in made.stderr
    shell("keys", "create", "daq1", "--role", "host", "--dir", tmp_path / "hosts")
    assert (tmp_path / "hosts" / "daq1.key").exists()
    listed = shell("keys", "list").stdout
    assert re.search(r"host +daq1 ", listed)
    assert [key["name"] for key in json.loads(shell("keys", "list", "--json").stdout)["keys"]] == ["daq1", "anna"]
    assert "operator anna is not valid any more" in shell("keys", "revoke", "anna").stdout
    assert "anna" not in shell("keys", "list").stdout


def test_a_broker_from_the_shell_with_keys(tmp_path, setup_file):
    shell = Shell(tmp_path)
    shell("keys", "create", "anna", "--role", "operator")
    shell("keys", "create", "otto", "--role", "observer", "--dir", tmp_path / "otto")
    with shell.started("broker", "--bind", "0.0.0.0", "--port", "0") as broker:
        said = broker.hears("broker on 0.0.0.0:")
        broker.hears("with keys")
        port = re.search(r"broker on 0\.0\.0\.0:(\d+)", said).group(1)
        shell.address = f"127.0.0.1:{port}"
        assert json.loads(shell("status", "--json").stdout)["me"]["name"] == "anna"
        refused = shell("reset", "--key", tmp_path / "otto" / "otto.key", expect=4)
        assert "otto is an observer and may watch, not command" in refused.stderr
        shell("keys", "revoke", "anna")
        broker.hears("the list of keys has changed; 1 are valid")
        assert "does not accept this key (anna)" in shell("status", expect=4).stderr
        broker.process.terminate()
        broker.ends(0)


def test_what_is_possible_is_shown(tmp_path, broker):
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
    shell = Shell(tmp_path, broker.address)
    possible = ["configure", "reset", "shutdown", "take", "surrender", "mark"]
    assert f"possible now: {', '.join(possible)}\n" in shell("status").stdout
    assert json.loads(shell("status", "--json").stdout)["possible"] == possible


def test_shutdown_ends_the_nodes_and_the_broker(tmp_path, nodes):
    shell = Shell(tmp_path)
    with shell.started("broker", "--port", "0") as broker:
        port = re.search(r"broker on 127\.0\.0\.1:(\d+)", broker.hears("broker on 127.0.0.1:")).group(1)
        shell.address = f"127.0.0.1:{port}"
        with Session.connect(shell.address) as session:
            running = nodes(session._diagnosis.endpoints, "daq1")
            wait_until(lambda: "daq1" in session.status().reports, "the node is not there")
            wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        assert "the nodes have left" in shell("shutdown").stdout
        broker.ends(0)
        wait_until(lambda: not running.by_name, "the node does not leave")


def test_one_broker_for_a_state_folder(tmp_path):
    shell = Shell(tmp_path)
    with shell.started("broker", "--port", "0") as broker:
        broker.hears("broker on")
        other = shell("broker", "--port", "0", expect=2)
        assert f"belongs to a broker that is running (process {broker.process.pid})" in other.stderr
        assert "--state" in other.stderr
        broker.interrupt()
        broker.ends(0)
