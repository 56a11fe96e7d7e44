"""Before a start everything that stands in the way is named."""

from mimodaq.protocol.parts import ClockLine, HostLine
from mimodaq.protocol.states import OURS, CommandTable, State, table
from mimodaq.watch import Grade, preflight
from watch.story import Story, node_line


def grades(story, **options):
    snapshot = story.assembler.snapshot(story.now + options.get("later", 0.0), 0)
    points = preflight(snapshot, options.get("commands", OURS), story.alarms.all(), options.get("disk_left_s"), "anna")
    return {point.text: point.grade for point in points}


def ready(**told):
    story = Story(state=State.CONFIGURED, run=None)
    story.tell(
        **({"setup_id": "12345678", "clock": ClockLine(0.001, 0, 0), "host": HostLine(disk_free_bytes=10**11)} | told)
    )
    return story


def test_a_cluster_that_is_ready_may_start():
    found = grades(ready(), disk_left_s=7200.0)
    assert set(found.values()) == {Grade.OK}
    assert "disk 100 GB free = 2.0 h at the last rate" in found


def test_what_stands_in_the_way_is_named():
    assert grades(ready(), later=10.0) == {"no contact to the broker for 10 s": Grade.BLOCKING}
    assert grades(ready(setup_id=None))["no setup is loaded: configure (6) first"] is Grade.BLOCKING
    assert grades(ready(in_charge="bernd"))["bernd is in charge: take control (c) first"] is Grade.BLOCKING
    lost = node_line("pi", presence="lost", state=State.OFFLINE)
    assert grades(ready(node=lost))["not heard: pi"] is Grade.BLOCKING
    running = Story()
    running.tell(setup_id="12345678")
    assert grades(running)["start is not possible while running: a run is in progress already"] is Grade.BLOCKING


def test_what_the_broker_says_of_start_counts():
    published = table()
    next(one for one in published["commands"] if one["name"] == "start")["why_not"]["configured"] = "not today"
    assert grades(ready(), commands=CommandTable.of(published))["not today"] is Grade.BLOCKING


def test_what_should_be_known_is_a_warning():
    optional = node_line("pi", presence="lost", state=State.OFFLINE, is_optional=True)
    assert grades(ready(node=optional))["optional and not heard: pi"] is Grade.WARNING
    assert grades(ready(clock=None))["no node has compared its clock yet"] is Grade.WARNING
    assert grades(ready(host=None))["free disk space is not known"] is Grade.WARNING
    hot = ready(host=HostLine(temperature_c=95.0, disk_free_bytes=10**11))
    for _ in range(4):
        hot.tell(setup_id="12345678", host=HostLine(temperature_c=95.0, disk_free_bytes=10**11))
    assert grades(hot)["pi: 95 °C"] is Grade.WARNING
