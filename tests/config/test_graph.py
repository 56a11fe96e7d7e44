"""A graph of buffers and functions that would block, or never end, is refused before the run."""

import pytest

from mimodaq.config import check_graph, downstream, sources, topological_order, upstream


def graph(buffers, **functions):
    """A setup of `buffers` (names) and functions with texts such as "read A write B"."""
    lines = ["RingBuffer:"]
    lines += [f"  - {name}: {{number_of_slots: 4, data_type: int32}}" for name in buffers.split()]
    lines += ["Functions:"]
    for name, text in functions.items():
        words = text.split()
        assign = ", ".join(f"{buffer}: {word}" for word, buffer in zip(words[::2], words[1::2], strict=True))
        lines += [f"  - {name}: {{function: simulate, RB_assign: {{{assign}}}}}"]
    return "\n".join(lines) + "\n"


def test_a_good_graph_has_no_problems(project):
    setup = project.load(graph("A B", src="write A", f="read A write B", out="read B", show="observe A"))
    assert check_graph(setup) == []


def test_a_buffer_without_reader_is_refused_with_the_remedy(project):
    assert project.problems(graph("A B", src="write A", f="read A write B")) == [
        "setup.yaml:3: buffer 'B' has no reader, so a run would block once it is full: "
        "add a reader, for example 'function: drain' with 'B: read'"
    ]


def test_an_observer_is_no_reader(project):
    assert project.problems(graph("A", src="write A", show="observe A")) == [
        "setup.yaml:2: buffer 'A' has no reader, so a run would block once it is full (an observer frees no "
        "slots): add a reader, for example 'function: drain' with 'A: read'"
    ]


def test_a_buffer_without_writer_is_refused(project):
    assert project.problems(graph("A B", src="write A", out="read A", f="read B")) == [
        "setup.yaml:3: buffer 'B' has no writer, so it stays empty: give a function 'B: write'"
    ]


def test_an_unused_buffer_is_refused_once(project):
    assert project.problems(graph("A B", src="write A", out="read A")) == [
        "setup.yaml:3: buffer 'B' is not used by any function: remove it, or name it in an RB_assign"
    ]


def test_a_function_without_buffers_is_refused(project):
    text = graph("A", src="write A", out="read A") + "  - idle: {function: drain}\n"
    assert project.problems(text) == [
        "setup.yaml:6: function 'idle' has no buffers: name what it reads or writes in RB_assign"
    ]


def test_a_cycle_is_named_where_it_closes(project):
    text = graph("A B", src="write A", f="read A write B", back="read B write A")
    assert project.problems(text) == [
        "setup.yaml:7: the buffers form a cycle, so a run could never end: A -> f -> B -> back -> A"
    ]


def test_a_cycle_through_an_observer_counts(project):
    text = graph("A B", f="observe B write A", g="read A write B", out="read B")
    assert project.problems(text) == [
        "setup.yaml:5: the buffers form a cycle, so a run could never end: A -> g -> B -> f -> A"
    ]


def test_every_cycle_is_named(project):
    text = graph(
        "A B C D",
        s="write A",
        f="read A write B write C",
        g="read B write A",
        h="read C write D",
        i="read D write C",
    )
    assert project.problems(text) == [
        "setup.yaml:9: the buffers form a cycle, so a run could never end: A -> f -> B -> g -> A",
        "setup.yaml:11: the buffers form a cycle, so a run could never end: C -> h -> D -> i -> C",
    ]


@pytest.fixture
def tree(project):
    """Functions listed against the direction of flow: two sources, one merge, one split."""
    return project.load(
        graph(
            "A B C D",
            out="read D",
            keep="read C",
            f="read A read B write C write D",
            show="observe A",
            src2="write B",
            src1="write A",
        )
    )


def test_sources_write_without_input(tree):
    assert [f.name for f in sources(tree)] == ["src2", "src1"]


def test_order_puts_every_function_after_its_input(tree):
    order = [f.name for f in topological_order(tree)]
    assert sorted(order) == sorted(tree.functions)
    assert set(order[:2]) == {"src1", "src2"}
    assert order.index("f") < min(order.index("out"), order.index("keep"))


def test_upstream_and_downstream_follow_the_flow(tree):
    assert upstream(tree, "out") == {"D", "f", "A", "B", "src1", "src2"}
    assert upstream(tree, "A") == {"src1"}
    assert upstream(tree, "src1") == set()
    assert downstream(tree, "src1") == {"A", "f", "show", "C", "D", "keep", "out"}
    assert downstream(tree, "C") == {"keep"}
    assert downstream(tree, "show") == set()


def test_order_of_a_cyclic_graph_is_an_error(project):
    setup = project.load(graph("A B", src="write A", f="read A write B", out="read B"))
    back = setup.functions["src"]
    back.rb_assign["B"] = "read"
    with pytest.raises(ValueError, match="form a cycle"):
        topological_order(setup)
