"""`mimodaq keys`: on the broker's host, without the broker."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

from mimodaq.client._exit import EXIT_GOOD, EXIT_USAGE
from mimodaq.client._streams import tell
from mimodaq.keys import KeysError, key_folder, read_authorized, state_folder
from mimodaq.keys import create as make_key
from mimodaq.keys import revoke as take_key
from mimodaq.protocol.messages import Role


def create(name: str, role: str, directory: Path | None, state: Path | None, as_json: bool) -> int:
    """Make a key; returns the exit code."""
    roles = [one.value for one in Role]
    if role not in roles:
        return _mistake(f"--role {role}: there are {', '.join(roles)}", as_json)
    broker = state or state_folder()
    try:
        path = make_key(name, Role(role), broker, directory or key_folder(), date.today())
        grant = read_authorized(broker).by_name(name)
    except (KeysError, OSError) as error:
        return _mistake(str(error), as_json)
    public = grant.public if grant is not None else None  # somebody may have revoked it at once
    about = {"name": name, "role": role, "public_key": public, "file": str(path)}
    tell(json.dumps(about, ensure_ascii=False) if as_json else str(path))
    print(f"This file is the key of {role} {name}. Whoever has it is {name}: copy it safely (scp).", file=sys.stderr)
    return EXIT_GOOD


def list_(state: Path | None, as_json: bool) -> int:
    """List the valid keys; returns the exit code."""
    try:
        grants = read_authorized(state or state_folder()).grants
    except KeysError as error:
        return _mistake(str(error), as_json)
    if as_json:
        rows = [{"name": g.name, "role": g.role.value, "public": g.public, "since": g.since} for g in grants]
        tell(json.dumps({"keys": rows}, ensure_ascii=False))
    elif grants:
        tell("\n".join(f"{g.role.value:9} {g.name:20} {g.since}" for g in grants))
    else:
        print("no keys: make some with mimodaq keys create NAME --role host|operator|observer", file=sys.stderr)
    return EXIT_GOOD


def revoke(name: str, state: Path | None, as_json: bool) -> int:
    """Take a key back; returns the exit code."""
    try:
        grant = take_key(name, state or state_folder())
    except (KeysError, OSError) as error:
        return _mistake(str(error), as_json, name=name, ok=False)
    if as_json:
        tell(json.dumps({"name": name, "ok": True}, ensure_ascii=False))
    else:
        tell(f"the key of {grant.role.value} {name} is not valid any more")
    return EXIT_GOOD


def _mistake(text: str, as_json: bool, **about: str | bool) -> int:
    print(text, file=sys.stderr)
    if as_json:
        tell(json.dumps({**about, "error": text}, ensure_ascii=False))
    return EXIT_USAGE
