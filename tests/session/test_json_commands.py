"""The commands of a cluster as programs have them: one JSON object on stdout, whatever happens."""

import json

import pytest

from broker.running import wait_until
from mimodaq.client._cluster_commands import Where
from session.terminal import Shell


def done(text, run=None):
    return {"ok": True, "text": text, "run": run}


def test_every_command_answers_with_one_object(idle, setup_file):
    configured = idle.json("configure", setup_file)
    assert (configured["ok"], configured["run"]) == (True, None)
    assert idle.json("take") == done("take: done")
    assert idle.json("arm", "--comment", "first light") == done("run 1 is ready", 1)
    assert idle.json("start") == done("run 1 is running", 1)
    assert idle.json("pause") == done("the sources are held", 1)
    assert idle.json("resume") == done("the sources are running", 1)
    assert idle.json("mark", "door open") == done("mark: done")
    refused = idle.json("shutdown", expect=4)
    assert (refused["ok"], refused["run"]) == (False, None)
    assert "shutdown is not possible while running" in refused["text"]
    assert idle.json("stop")["ok"]
    assert idle.json("surrender") == done("surrender: done")
    assert idle.json("reset") == done("everything is reset")


def test_the_end_of_a_run_comes_with_its_row(ready):
    ready("start", "--comment", "first light")
    stopped = ready.json("stop")
    row = ready.json("runs", "1")
    assert {key: stopped[key] for key in row} == row
    assert set(stopped) - set(row) == {"ok", "text"}
    assert (stopped["ok"], stopped["run"], stopped["verdict"], stopped["reasons"]) == (True, 1, "good", [])
    assert {(count["node"], count["buffer"]) for count in stopped["counts"]} >= {("daq1", "RB_1")}
    ready("start")
    aborted = ready.json("abort", expect=1)
    assert (aborted["ok"], aborted["run"], aborted["verdict"]) == (True, 2, "aborted")


def test_a_stop_that_is_not_waited_for_names_the_run(ready):
    ready("start")
    ready.nodes.do(lambda: setattr(ready.nodes.by_name["ana1"], "is_deaf", True))
    begun = ready.json("stop", "--no-wait")
    assert begun == done("run 1 is stopping; see mimodaq status --watch", 1)
    ready.nodes.do(lambda: setattr(ready.nodes.by_name["ana1"], "is_deaf", False))
    wait_until(lambda: ready.json("runs", "1")["verdict"], "the run does not end")


def test_a_refusal_is_an_object_too(ready):
    for command, code, words in (
        (("pause",), 4, "pause is not possible while configured: there is no run"),
        (("stop",), 4, "stop is not possible while configured: there is no run"),
        (("take", "--key", "nobody.key"), 2, "there is no key file nobody.key"),
        (("configure", "missing.yaml"), 2, "there is no such file"),
        (("configure", "experiment", "--on-loss", "cry"), 2, "--on-loss cry: there are pause, stop"),
        (("configure", "experiment", "--optional", "sto"), 4, "sto is to be optional, but the setup has no such host"),
        (("start", "--broker", "127.0.0.1:1"), 3, "no broker answers at 127.0.0.1:1"),
    ):
        done = ready(*command, "--json", expect=code)
        refused = json.loads(done.stdout)
        assert words in refused.pop("text")
        assert refused == {"ok": False, "run": None}
        assert words in done.stderr


def test_who_does_not_wait_is_told_so_in_json(ready):
    ready.nodes.do(lambda: setattr(ready.nodes.by_name["ana1"], "is_deaf", True))
    with ready.started("start", "--json") as start:
        start.hears("start: arming, waiting for ana1")
        start.interrupt()
        start.ends(130)
    told = json.loads(start.said.splitlines()[-1])
    assert (told["ok"], told["run"]) == (False, None)
    assert told["text"].startswith("not waited for")


def test_shutdown_answers_before_the_broker_has_gone(idle):
    assert "the nodes have left" in idle.json("shutdown")["text"]


def test_keys(tmp_path):
    shell = Shell(tmp_path)
    made = shell.json("keys", "create", "anna", "--role", "operator")
    (listed,) = shell.json("keys", "list")["keys"]
    file = tmp_path / "keys" / "anna.key"
    assert made == {"name": "anna", "role": "operator", "public_key": listed["public"], "file": str(file)}
    assert file.exists()
    assert "there is a key 'anna' already" in shell.json("keys", "create", "anna", "--role", "host", expect=2)["error"]
    assert "there are host" in shell.json("keys", "create", "otto", "--role", "king", expect=2)["error"]
    assert shell.json("keys", "revoke", "anna") == {"name": "anna", "ok": True}
    again = shell.json("keys", "revoke", "anna", expect=2)
    assert (again["name"], again["ok"]) == ("anna", False)
    assert "has no key 'anna'" in again["error"]


def test_run_can_do_what_configure_and_start_can(idle, setup_file):
    words = ("--optional", "ana1", "--on-loss", "stop", "--comment", "first light")
    result = run(idle, setup_file, *words)
    assert (result["run"], result["verdict"], result["reasons"]) == (1, "good", [])
    assert (result["optional"], result["on_loss"], result["comment"]) == (["ana1"], "stop", "first light")
    row = idle.json("runs", "1")
    assert {key: result[key] for key in row} == row


def test_run_tells_buffers_and_ledger_as_on_one_host(idle, setup_file):
    result = run(idle, setup_file)
    ledger = result["ledger"]
    assert (ledger["balanced"], ledger["left"], ledger["quarantined"]) == (True, 0, 0)
    for name, groups in ledger["buffers"].items():
        assert result["buffers"][name]["events"] == max(group["committed"] for group in groups.values())
        assert all(group["balanced"] for group in groups.values())
    assert "to:ana1" in ledger["buffers"]["RB_1"]


def test_the_setup_says_its_broker_and_its_optional_hosts(idle, setup_file, broker):
    name_broker(setup_file, broker.address)
    setup_file.write_text(setup_file.read_text().replace("data_port: 7900", "data_port: 7900, role: optional"))
    idle.address = ""
    assert idle.json("configure", setup_file)["ok"]
    stop = ("stop", "--broker", broker.address)
    result = run(idle, setup_file, stop=stop)
    assert (result["verdict"], result["optional"], result["on_loss"]) == ("good", ["ana1"], "pause")
    assert run(idle, setup_file, "--optional", "daq1", stop=stop)["optional"] == ["daq1"]
    assert "'a b' is no address" in idle.json("run", setup_file, "--broker", "a b", expect=2)["error"]
    assert idle.json("check", setup_file)["broker"] == broker.address
    assert f"broker  {broker.address}" in idle("check", setup_file).stdout


def test_the_broker_that_was_typed_comes_before_that_of_the_setup(setup_file):
    name_broker(setup_file, "daq1.lab")
    assert address(None, setup_file) == "daq1.lab"
    assert address(None, setup_file, "broker=daq2.lab") == "daq2.lab"
    assert address("daq3.lab", setup_file) == "daq3.lab"
    assert address(None, setup_file.parent) == "daq1.lab"
    assert address(None, setup_file, "broker=") == "127.0.0.1"
    assert address(None, setup_file.with_name("missing.yaml")) == "127.0.0.1"


@pytest.mark.parametrize("words", [("--optional", "ana1"), ("--on-loss", "stop")])
def test_a_setup_of_one_host_has_no_use_for_them(shell, setup_file, words):
    lines = setup_file.read_text().splitlines()
    alone = [line for line in lines if not line.startswith(("hosts", "  daq1", "  ana1"))]
    setup_file.write_text("\n".join(alone).replace(", host: daq1", "").replace(", host: ana1", ""))
    refused = shell.json("run", setup_file, *words, expect=2)
    assert f"{words[0]}: only for a setup with hosts" in refused["error"]


def name_broker(setup_file, address):
    setup_file.write_text(f"broker: {address}\n{setup_file.read_text()}")


def address(typed, setup_file, *overrides):
    return Where.typed(typed, None, False).of_setup_at(setup_file, overrides).address


def run(shell, setup_file, *words, stop=("stop",)):
    """Take data with one command until another one stops it; what the first has printed on stdout."""
    with shell.started("run", setup_file, "--quiet", "--json", *words) as running:
        running.hears("start: ")
        wait_until(lambda: is_running(shell, stop[1:]), "the run does not begin")
        shell(*stop)
        running.ends(0)
    return json.loads(running.said.splitlines()[-1])


def is_running(shell, broker):
    return shell.json("status", *broker)["cluster"]["state"] == "running"
