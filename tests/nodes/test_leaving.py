"""A node daemon that is told to leave by the system says so before it goes; its run does not need it."""

import re

from nodes.chain import DAQ, MODULE, STO, check_complete, made, setup, wait_for_end
from nodes.real import wait_for

FAREWELL = "the node daemon leaves (SIGTERM)"


def farewells(session, node):
    return [line for line in session.logs(200) if line.node == node and line.text.startswith(FAREWELL)]


def test_a_daemon_that_leaves_a_run_says_so_and_the_next_one_adopts_the_run(new_cluster):
    cluster = new_cluster(DAQ, STO, real=False)
    session = cluster.start()
    answer = session.configure(cluster.write_setup(setup(rate=3000.0, filters=(STO,)), chain=MODULE))
    assert answer.ok, answer.text
    run = session.ask("start").run
    end = cluster.ring(STO, run, "RB_2")

    def go_on(events=500):
        until = end.status().committed + events
        wait_for(lambda: end.status().committed >= until, f"for {events} more events")

    go_on()
    life = session.status().reports[DAQ].epoch
    assert cluster.nodes[DAQ].stop() == 0
    (line,) = wait_for(lambda: farewells(session, DAQ), "for the last line of the daemon")
    assert line.level == "warning"
    told = re.fullmatch(
        rf"{re.escape(FAREWELL)}: (\d+) process(?:es)? go(?:es)? on in run (\d+) for 120 s .*", line.text
    )
    assert told, line.text
    assert (int(told[1]), int(told[2])) == (2, run)  # the source, and the link to the other host
    assert FAREWELL in (cluster.run_dirs(run)[DAQ] / "run.log").read_text()
    go_on()  # data flow without it
    cluster.nodes[DAQ].start()
    wait_for(lambda: session.status().reports[DAQ].epoch > life, "for the next daemon")
    wait_for(lambda: session.status().cluster.state.value == "running", "for the run to go on")
    go_on()
    answer = session.ask("stop")
    assert answer.ok, answer.text
    row = wait_for_end(session, run)
    assert (row.verdict, row.reasons) == ("good", ())
    check_complete(cluster, run, made(cluster, run))


def test_a_daemon_without_a_run_says_that_it_leaves(new_cluster):
    cluster = new_cluster(DAQ, real=False)
    session = cluster.start()
    assert cluster.nodes[DAQ].stop() == 0
    (line,) = wait_for(lambda: farewells(session, DAQ), "for the last line of the daemon")
    assert (line.level, line.text) == ("info", FAREWELL)


def test_a_daemon_without_a_broker_leaves_at_once(new_cluster):
    cluster = new_cluster(DAQ, real=False)
    cluster.start()
    cluster.broker.kill()
    assert cluster.nodes[DAQ].stop() == 0
    assert FAREWELL in cluster.nodes[DAQ].log()
