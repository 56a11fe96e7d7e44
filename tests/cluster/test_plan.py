"""A setup becomes rings, workers and links on each host, and orders over all hosts."""

import pytest

from mimodaq.config import SetupErrors, load_setup
from mimodaq.protocol.plan import make_plan
from mimodaq.protocol.ports import port_of, ports_of

CHAIN = {"src": "write A", "f": "read A write B", "out": "read B"}


def rings(plan, node):
    return {ring.name: ring for ring in plan.nodes[node].rings}


def used(plan, node):
    return {f.name: dict(f.rings) for f in plan.nodes[node].functions}


def test_a_setup_without_hosts_is_one_node_without_links(load):
    plan = make_plan(load("", {"A": "", "B": ""}, CHAIN, top="runevents: 7\nruntime: 3"))
    assert list(plan.nodes) == ["local"]
    assert plan.links == ()
    assert (plan.counted_node, plan.events_limit, plan.duration_s) == ("local", 7, 3.0)
    assert [r.limit for r in plan.nodes["local"].rings] == [7, 0]
    assert {n: (r.groups, r.writers, r.is_home, r.is_source) for n, r in rings(plan, "local").items()} == {
        "A": (("f",), 1, True, True),
        "B": (("out",), 1, True, False),
    }
    assert plan.nodes["local"].size_bytes == 2 * 4 * 4


@pytest.fixture
def four_hosts(load):
    """The lifetime experiment: source, two filters, files on four hosts."""
    return make_plan(
        load(
            "daq ana1 ana2 store",
            {"A": "daq", "B": "store"},
            {"src": "on daq write A", "f": "on ana1+ana2 x 2 read A write B", "out": "on store read B"},
        )
    )


def test_a_function_on_two_hosts_is_one_group_and_each_event_goes_to_one_of_them(four_hosts):
    assert rings(four_hosts, "daq")["A"].groups == ("f",)
    incoming = {link.receiver: link for link in four_hosts.links if link.buffer == "A"}
    assert set(incoming) == {"ana1", "ana2"}
    assert {(link.sender, link.from_ring, link.group) for link in incoming.values()} == {("daq", "A", "f")}
    for node in ("ana1", "ana2"):
        assert used(four_hosts, node) == {"f": {"A": "A~f", "B": "B.out"}}
        assert rings(four_hosts, node)["A~f"].groups == ("f",)
        assert rings(four_hosts, node)["A~f"].writers == 1
        assert four_hosts.nodes[node].functions[0].processes == 2


def test_what_is_written_far_from_its_buffer_goes_through_a_feeder(four_hosts):
    feeder = rings(four_hosts, "ana1")["B.out"]
    assert (feeder.groups, feeder.writers, feeder.is_home) == (("to:store",), 2, False)
    assert {(x.sender, x.receiver, x.to_ring) for x in four_hosts.links if x.buffer == "B"} == {
        ("ana1", "store", "B"),
        ("ana2", "store", "B"),
    }
    assert rings(four_hosts, "store")["B"].writers == 2


def test_it_stops_from_the_sources_on(four_hosts):
    assert four_hosts.stop_waves == (
        (("daq", "src"),),
        (("ana1", "A~f:daq>ana1"), ("ana2", "A~f:daq>ana2")),
        (("ana1", "f"), ("ana2", "f")),
        (("store", "B.out:ana1>store"), ("store", "B.out:ana2>store")),
        (("store", "out"),),
    )
    assert four_hosts.source_nodes == {"daq"}


def test_link_ends_are_workers_that_only_the_stream_ends(four_hosts):
    workers = {str(w.id): w for w in four_hosts.nodes["ana1"].workers()}
    assert set(workers) == {"f[0]", "f[1]", "A~f:daq>ana1[0]", "B.out:ana1>store[0]"}
    assert workers["A~f:daq>ana1[0]"].is_source
    assert not workers["A~f:daq>ana1[0]"].leaves_when_told
    assert not workers["B.out:ana1>store[0]"].is_source
    assert four_hosts.nodes["daq"].workers()[0].leaves_when_told


def test_circles_of_hosts_are_no_circles_of_the_graph(load):
    plan = make_plan(
        load("a b", {"A": "a", "B": "a"}, {"src": "on a write A", "f": "on b read A write B", "out": "on a read B"})
    )
    assert [wave[0] for wave in plan.stop_waves] == [
        ("a", "src"),
        ("b", "A:a>b"),
        ("b", "f"),
        ("a", "B.out:b>a"),
        ("a", "out"),
    ]


def test_functions_on_one_far_host_share_a_mirror_with_every_event(load):
    plan = make_plan(
        load(
            "a b c",
            {"A": "a"},
            {"src": "on a write A", "f": "on b read A", "g": "on b read A", "h": "on b+c read A", "i": "on a read A"},
        )
    )
    assert rings(plan, "a")["A"].groups == ("to:b", "h", "i")
    assert rings(plan, "b")["A"].groups == ("f", "g")
    assert rings(plan, "b")["A~h"].groups == ("h",)
    assert [link.name for link in plan.links] == ["A:a>b", "A~h:a>b", "A~h:a>c"]


def test_a_group_may_have_members_on_the_buffers_own_host(load):
    plan = make_plan(load("a b", {"A": "a"}, {"src": "on a write A", "f": "on a+b read A"}))
    assert rings(plan, "a")["A"].groups == ("f",)
    assert used(plan, "a")["f"] == {"A": "A"}
    assert [(link.group, link.to_ring) for link in plan.links] == [("f", "A~f")]


def test_an_observer_uses_a_mirror_or_takes_copies_which_hold_up_nobody(load):
    plan = make_plan(
        load(
            "a b c",
            {"A": "a"},
            {"src": "on a write A", "f": "on b read A", "show": "on b observe A", "look": "on c observe A"},
        )
    )
    assert used(plan, "b")["show"] == {"A": "A"}
    assert used(plan, "c")["look"] == {"A": "A~copies"}
    (copies,) = (link for link in plan.links if link.is_copies)
    assert (copies.receiver, copies.group) == ("c", "")
    assert rings(plan, "a")["A"].groups == ("to:b",)
    assert rings(plan, "c")["A~copies"].groups == ()
    assert all(w.is_observer for w in plan.nodes["c"].workers())


def test_without_hosts_things_follow_the_flow(load):
    plan = make_plan(load("a b", {"A": "b", "B": ""}, CHAIN))
    assert list(plan.nodes) == ["b"]
    assert plan.links == ()
    plan = make_plan(load("a b", {"A": "", "B": ""}, CHAIN))
    assert list(plan.nodes) == ["a"]
    plan = make_plan(
        load("a b c", {"A": "", "B": ""}, {"src": "on a write A", "f": "on a+b read A write B", "out": "on c read B"})
    )
    assert {ring.name for ring in plan.nodes["c"].rings} == {"B"}


def test_sources_on_two_hosts_feed_one_buffer(load):
    plan = make_plan(load("a b", {"A": "a"}, {"src": "on a+b write A", "out": "on a read A"}))
    assert plan.source_nodes == {"a", "b"}
    assert rings(plan, "a")["A"].writers == 2
    assert rings(plan, "b")["A.out"].is_source
    assert plan.counted_node == "a"


def test_a_source_is_started_again_only_if_the_setup_says_so(load):
    plan = make_plan(load("", {"A": "", "B": ""}, CHAIN))
    assert {f.name: f.restart for f in plan.nodes["local"].functions} == {"src": False, "f": True, "out": True}


def test_the_plan_of_40_hosts_with_20_buffers_each(load):
    hosts = [f"h{i}" for i in range(40)]
    buffers = {f"B{h}x{i}": h for h in hosts for i in range(20)}
    functions = {}
    for number, h in enumerate(hosts):
        following = hosts[(number + 1) % 40]
        functions[f"s{h}"] = f"on {h} " + " ".join(f"write B{h}x{i}" for i in range(20))
        functions[f"r{h}"] = f"on {following} " + " ".join(f"read B{h}x{i}" for i in range(20))
    plan = make_plan(load(" ".join(hosts), buffers, functions))
    assert len(plan.nodes) == 40
    assert len(plan.links) == 800
    assert len(plan.stop_waves) == 3


@pytest.fixture
def place(load, tmp_path):
    """Load the lifetime experiment with its three hosts written as given."""

    def load_hosts(**hosts):
        load(
            "daq ana store",
            {"A": "daq", "B": "store"},
            {
                "src": "on daq write A",
                "f": "on ana x 2 read A write B",
                "out": "on store read B",
                "log": "on store read A",
            },
        )
        path = tmp_path / "setup.yaml"
        text = path.read_text()
        for name, place in hosts.items():
            text = text.replace(f"  {name}: {{address: {name}.lab}}", f"  {name}: {{{place}}}")
        path.write_text(text)
        return load_setup(path)

    return load_hosts


def test_links_have_the_ports_above_that_for_clients_in_the_order_of_the_plan(place):
    setup = place(store="address: store.lab, data_port: 9000")
    plan = make_plan(setup)
    assert {name: ports_of(host, plan.nodes[name]) for name, host in setup.hosts.items()} == {
        "daq": range(7800, 7801),
        "ana": range(7800, 7802),
        "store": range(9000, 9003),
    }
    store = plan.nodes["store"]
    assert [port_of(link, setup.hosts["store"], store) for link in store.incoming] == [9001, 9002]


@pytest.mark.parametrize(
    ("daq", "store", "said"),
    [
        (
            "address: 10.0.0.1",
            "address: 10.0.0.1",
            "'store' needs the ports 7800 to 7802 of 10.0.0.1, of which 'daq' has 7800",
        ),
        ("address: Daq.lab", "address: daq.LAB, data_port: 7800", "of daq.LAB, of which 'daq' has 7800"),
        (
            "address: '::1', data_port: 9002",
            "data_port: 9000, address: '::1'",
            "9000 to 9002 of ::1, of which 'daq' has 9002",
        ),
    ],
)
def test_hosts_that_would_meet_at_a_port_are_refused(place, daq, store, said):
    with pytest.raises(SetupErrors) as caught:
        make_plan(place(daq=daq, store=store))
    (problem,) = caught.value.problems
    assert problem.where.line == 4
    assert said in problem.message


def test_two_nodes_on_one_computer_are_told_apart_by_their_ports(place):
    make_plan(place(daq="address: 127.0.0.1", store="address: 127.0.0.1, data_port: 7801"))
