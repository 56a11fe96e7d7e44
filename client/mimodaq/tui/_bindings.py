"""Textual bindings from the table of keys."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from ._keys import COMMANDS, GENERAL, PANES, keys_of


def bindings_of(pane: str) -> list[BindingType]:
    """The bindings of one screen."""
    return [Binding(key.keys, key.action, key.label, show=False, id=f"{pane}.{key.action}") for key in keys_of(pane)]


def app_bindings() -> list[BindingType]:
    """The bindings that hold on every screen."""
    bound: dict[str, BindingType] = {}
    for key in (*COMMANDS, *GENERAL):
        bound[key.keys] = Binding(key.keys, key.action, key.label, show=False, id=key.action)
    panes = [Binding(pane.digit, f"pane('{pane.name}')", pane.title, show=False, id=pane.name) for pane in PANES]
    return [*bound.values(), *panes]
