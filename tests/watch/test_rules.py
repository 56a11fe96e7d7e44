"""Rules from a file change, add and switch off; every mistake is named."""

from pathlib import Path

import pytest

from mimodaq.watch import DEFAULT_RULES, FIGURES, Level, RuleError, Subject, rules_from


def named(rules):
    return {rule.name: rule for rule in rules}


def test_without_a_file_the_default_rules_are_on():
    assert rules_from({}) == DEFAULT_RULES


def test_one_key_of_a_rule_can_be_changed():
    before, after = named(DEFAULT_RULES)["filling"], named(rules_from({"filling": {"for_s": 60}}))["filling"]
    assert (after.for_s, after.when, after.clear, after.do) == (60.0, before.when, before.clear, before.do)


def test_a_new_condition_does_not_keep_the_old_end():
    assert named(rules_from({"warm": {"when": "temperature_c > 60"}}))["warm"].clear is None


def test_a_rule_can_be_switched_off():
    assert "rate" not in named(rules_from({"rate": False}))


def test_a_rule_can_be_added():
    table = {
        "few": {"about": "buffer", "when": "rate_hz < 5", "level": "alarm", "do": "stop", "text": "only {rate_hz}/s"}
    }
    rule = named(rules_from(table))["few"]
    assert (rule.level, rule.do) == (Level.ALARM, ("stop",))
    assert rule.describe(Subject("buffer", "pi", "RB_1"), {"rate_hz": 2.5}) == "pi RB_1: only 2.5/s"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "expected names with their rules, found list"),
        ({"fillling": "off"}, "switched off, but there is none"),
        ({"x": {"when": "fill > 1"}}, "'about' is missing"),
        ({"x": {"about": "buffer"}}, "'when' is missing"),
        ({"x": {"about": "buffers", "when": "fill > 1"}}, "nothing called 'buffers'"),
        ({"x": {"about": "buffer", "when": "full > 1"}}, "no figure 'full'"),
        ({"x": {"about": "buffer", "when": "fill > 1", "level": "panic"}}, "note, warning or alarm"),
        ({"x": {"about": "buffer", "when": "fill > 1", "for_s": "long"}}, "a number of seconds"),
        ({"x": {"about": "buffer", "when": "fill > 1", "do": "explode"}}, "no action 'explode'"),
        ({"x": {"about": "buffer", "when": "fill > 1", "do": "command"}}, "needs 'command:"),
        ({"x": {"about": "buffer", "when": "fill > 1", "do": 3}}, "a list of texts"),
        ({"x": {"about": "buffer", "when": "fill > 1", "text": "{full}"}}, "figures go in braces"),
        ({"x": {"about": "buffer", "when": "fill > 1", "text": "{fill.__class__}"}}, "figures go in braces"),
        ({"x": {"about": "buffer", "when": "fill > 1", "color": "red"}}, "no key 'color'"),
        ({"x": 3}, "expected keys"),
    ],
)
def test_a_mistake_is_named(table, message):
    with pytest.raises(RuleError, match=message):
        rules_from(table)


def test_every_default_rule_says_what_is_the_matter_whatever_the_figures_are():
    for rule in DEFAULT_RULES:
        for value in (None, 0.0, 123456.0, "text"):
            assert rule.describe(Subject(rule.on, "pi", "x"), dict.fromkeys(FIGURES[rule.on], value))


def test_the_documentation_names_every_figure():
    text = (Path(__file__).parents[2] / "docs" / "operator.md").read_text()
    for kind, figures in FIGURES.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| {kind} | `"))
        assert set(row.split("`")[1].split()) == figures, kind
