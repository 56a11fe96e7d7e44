"""The experiment on two hosts in the README works as it is printed there."""

import re
from pathlib import Path

import pandas as pd
import yaml

from nodes.chain import wait_for_end

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_experiment_on_two_hosts_runs(new_cluster):
    module, (_, setup) = (
        re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0],
        re.findall(r"```yaml\n(.*?)```", README, re.DOTALL),
    )
    cluster = new_cluster("daq1", "ana1", keys=True)
    session = cluster.start()
    table = {**yaml.safe_load(setup), "hosts": cluster.host_table()}
    answer = session.configure(cluster.write_setup(table, pulses=module))
    assert answer.ok, answer.text
    row = wait_for_end(session, session.ask("start").run)
    assert (row.verdict, row.reasons, row.events) == ("good", (), 2000)
    (node,) = [name for name, path in cluster.run_dirs(row.run).items() if (path / "pulses.csv").exists()]
    assert node == "ana1"
    assert len(pd.read_csv(cluster.run_dirs(row.run)[node] / "pulses.csv")) > 1000
