"""A run ends when it should: at its limit, when its sources are exhausted, and then everything is worked off."""

from client.command import column, log, record


def test_source_exhausted(project):
    """Ancestor: state Stopped, never ends by itself, main process spins."""
    project.setup("numbers > RB_1 {n: 500}", "keep < RB_1 > RB_2", "save < RB_2")
    result = project.run()
    assert result["verdict"] == "good"
    assert record(result)["end_reason"] == "sources finished"
    asked, begun, stopping, over = record(result)["times"].values()
    assert asked < begun < stopping < over  # nobody asked: it is when the source had ended
    assert column(f"{result['run_dir']}/out.csv") == list(range(500))


def test_asked_500_events_got_754(project):
    """The limit is exact, at full speed and with two processes of the source."""
    project.setup("numbers x2 > RB_1", "keep < RB_1 > RB_2", "save < RB_2", slots=64)
    result = project.run("--events", "5000")
    assert result["verdict"] == "good"
    assert [b["events"] for b in result["buffers"].values()] == [5000, 5000]
    assert column(f"{result['run_dir']}/out.csv", "counter") == list(range(5000))
    assert record(result)["end_reason"] == "5000 events are taken"


def test_a_source_that_waits_for_its_next_event_is_not_waited_for(project):
    project.functions(
        """
        def rare():
            yield {"x": 1}
            yield {"x": 2}
            time.sleep(1000)
            yield {"x": 3}
        """
    )
    project.setup("rare > RB_1", "drain < RB_1")
    result = project.run("--events", "2")
    assert (result["verdict"], result["buffers"]["RB_1"]["events"]) == ("good", 2)


def test_a_limit_on_a_buffer_that_a_filter_fills_stops_the_sources(project):
    project.setup("keep < RB_9 > RB_1", "numbers > RB_9", "drain < RB_1")
    result = project.run("--events", "100")
    assert result["verdict"] == "good"
    assert result["buffers"]["RB_1"]["events"] >= 100
    assert result["buffers"]["RB_1"]["events"] == result["buffers"]["RB_9"]["events"]


def test_a_duration_ends_the_run(project):
    project.setup("slow_numbers > RB_1", "drain < RB_1")
    result = project.run("--duration", "300 ms")
    assert result["verdict"] == "good"
    assert result["running_s"] >= 0.3
    assert record(result)["end_reason"] == "0.3 s are over"


def test_limits_may_stand_in_the_setup(project):
    project.setup("numbers > RB_1", "drain < RB_1", more="runevents: 7")
    assert project.run()["buffers"]["RB_1"]["events"] == 7


def test_no_events_at_all_is_a_good_run(project):
    project.functions("def nothing():\n    return\n    yield\n")
    project.setup("nothing > RB_1", "keep < RB_1 > RB_2", "save < RB_2")
    result = project.run()
    assert (result["verdict"], result["buffers"]["RB_1"]["events"]) == ("good", 0)
    assert column(f"{result['run_dir']}/out.csv") == []


def test_a_slow_sink_is_named_as_the_cause_of_dead_time(project):
    project.functions("def sluggish(event):\n    time.sleep(0.003)\n")
    project.setup("numbers > RB_1 {n: 200}", "sluggish < RB_1", "drain < RB_1", slots=4)
    result = project.run()
    waited = result["buffers"]["RB_1"]["waited_for_s"]
    assert waited["Fkt_2"] > 10 * waited["Fkt_3"]
    assert result["live_time_fraction"] < 0.5
    assert "running" in log(result)
