"""Tables of the documentation that list all there is do so."""

from __future__ import annotations

from docs.pages import keys_of
from mimodaq.config import _schema
from mimodaq.protocol.run import Verdict


def test_every_key_of_a_setup_is_in_its_table() -> None:
    assert keys_of("setup.md", "Top level") == set(_schema.TopLevel.model_fields)
    assert keys_of("setup.md", "A function") == set(_schema.FunctionEntry.model_fields)


def test_every_verdict_is_explained() -> None:
    assert keys_of("runs.md", "Verdict") == {verdict.value for verdict in Verdict}
