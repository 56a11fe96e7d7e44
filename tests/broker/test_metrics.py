"""Figures for Prometheus, scraped from a broker that runs, and the log as JSON."""

import dataclasses
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from broker.running import BrokerThread, wait_until
from cluster.test_messages import REPORT
from mimodaq.broker.metrics import Exporter, families
from mimodaq.client._log_json import FOLD_S, JsonLog
from mimodaq.protocol.messages import Cluster, LogLine, NodeLine
from mimodaq.protocol.parts import BufferLine, ClockLine, HostLine, LinkLine
from mimodaq.protocol.states import State

pytest.importorskip("prometheus_client", reason="pip install 'mimodaq[metrics]'")
DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "mimodaq.json"
UNITS = (
    "total", "seconds", "hertz", "ratio", "bytes", "bytes_per_second", "celsius", "events", "up", "state", "number",
    "reasons",
)  # fmt: skip


def scrape(exporter):
    with urllib.request.urlopen(f"http://127.0.0.1:{exporter.port}/metrics", timeout=30) as answer:
        return answer.read().decode()


@pytest.fixture
def exporter():
    made = Exporter("127.0.0.1", 0)
    yield made
    made.close()


def cluster(presence="here"):
    line = NodeLine(REPORT.node, State.RUNNING, presence, 0.1, True, False, 5.0, 0.5, 0.25)
    return Cluster(1, 1, State.RUNNING, State.RUNNING, 3.0, 7, 60.0, 1000, "", "", None, ("a reason",), (line,))


def test_a_living_broker_is_scraped(state, nodes, exporter):
    with BrokerThread(state, on_news=exporter.take) as broker:
        nodes(broker.endpoints, "daq1")
        text = wait_until(
            lambda: (found := scrape(exporter)) and 'mimodaq_node_up{node="daq1"} 1.0' in found and found,
            "daq1 does not come up",
        )
    assert 'mimodaq_cluster_state{state="idle"} 1.0' in text
    assert 'mimodaq_node_state{node="daq1",state="idle"} 1.0' in text
    assert "# TYPE mimodaq_run_events_total counter" in text or "# TYPE mimodaq_run_events counter" in text


def test_the_command_serves_them_and_logs_json(tmp_path):
    command = [sys.executable, "-m", "mimodaq.client.cli", "broker", "--port", "0", "--state", str(tmp_path / "state")]
    with subprocess.Popen(
        [*command, "--metrics", "0", "--log-json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            url = process.stdout.readline().split()[-1]
            assert process.stdout.readline().startswith("broker on ")
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert answer.status == 200
        finally:
            process.terminate()
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert process.returncode == 0
    assert lines[0]["text"].startswith("the broker listens on 127.0.0.1:")


def test_every_figure_of_a_report_is_there_with_its_unit(exporter):
    exporter.take(cluster())
    exporter.take(REPORT)
    text = scrape(exporter)
    buffer = REPORT.buffers[0]
    labels = f'{{buffer="{buffer.name}",node="{REPORT.node}"}}'
    assert f"mimodaq_buffer_committed_events_total{labels} {float(buffer.committed)}" in text
    assert "mimodaq_run_number 7.0" in text
    assert "mimodaq_run_reasons 1.0" in text
    shown = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert all(name.startswith("mimodaq_") and name.endswith(UNITS) for name in shown), shown


@pytest.mark.parametrize(
    ("part", "prefix", "left_out"),
    [
        (BufferLine, "buffer_", {"name", "blamed"}),
        (LinkLine, "link_", {"name"}),
        (ClockLine, "node_clock_", set()),
        (HostLine, "node_", {"versions", "disk_wish"}),
    ],
)
def test_no_figure_is_forgotten(part, prefix, left_out):
    names = {family.name.removeprefix("mimodaq_") for family in families(cluster(), [REPORT])}
    own = [name for name in names if name.startswith(prefix)]
    for field in dataclasses.fields(part):
        word = field.name.partition("_")[0]
        word = {"dead": "dead_time", "connected": "up"}.get(word, word)
        assert field.name in left_out or any(word in name for name in own), field.name


def test_of_a_lost_host_nothing_old_is_shown(exporter):
    exporter.take(cluster())
    exporter.take(REPORT)
    exporter.take(cluster("lost"))
    text = scrape(exporter)
    assert f'mimodaq_node_up{{node="{REPORT.node}"}} 0.0' in text
    assert not re.search(r"^mimodaq_buffer_\w+{", text, re.MULTILINE)


def test_the_dashboard_shows_what_there_is():
    known = {f.name + ("_total" if f.kind == "counter" else "") for f in families(cluster(), [REPORT])}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    used = {name for p in panels for t in p["targets"] for name in re.findall(r"mimodaq_\w+", t["expr"])}
    assert used
    assert used <= known


def test_a_port_that_is_taken_is_named(exporter):
    from mimodaq.broker import BrokerError

    with pytest.raises(BrokerError, match=f":{exporter.port}: .*Choose another port"):
        Exporter("127.0.0.1", exporter.port)


def said(text, node="daq1"):
    return LogLine(node, 1_790_000_000_000_000_000, "error", "run", text)


def test_log_lines_are_json_and_repeats_are_folded():
    log = JsonLog()
    (first,) = log.add(said("no trigger"), 0.0)
    assert json.loads(first) == {
        "time": "2026-09-21T14:13:20.000+00:00",
        "level": "error",
        "node": "daq1",
        "source": "run",
        "text": "no trigger",
    }
    assert log.add(said("no trigger"), 1.0) == []
    assert len(log.add(said("no trigger", "ana1"), 1.5)) == 1
    assert log.add(said("no trigger"), 2.0) == []
    again, other = log.add(said("something else"), FOLD_S + 1.0)
    assert json.loads(again)["repeated"] == 2
    assert json.loads(other)["text"] == "something else"
    (anew,) = log.add(said("no trigger"), FOLD_S + 2.0)
    assert "repeated" not in json.loads(anew)
    assert log.add(said("no trigger"), FOLD_S + 3.0) == []
    assert [json.loads(line)["repeated"] for line in log.rest()] == [1]
