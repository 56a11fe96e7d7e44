"""Run a mimoCoRB script that mimodaq does not start itself: ``python -m mimodaq.mimocorb SCRIPT [ARGS]``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from mimodaq.mimocorb._alias import ALIAS, SHIM, install_alias

_USAGE = """usage: python -m mimodaq.mimocorb SCRIPT [ARGS]
Runs an unmodified mimoCoRB script on mimodaq's ring buffers.
"""


def main(arguments: list[str]) -> None:
    """Run the script named first as `__main__`, the way ``python SCRIPT ARGS`` would; exits 2 on wrong usage."""
    if not arguments or arguments[0] in ("-h", "--help"):
        (sys.stdout if arguments else sys.stderr).write(_USAGE)
        raise SystemExit(0 if arguments else 2)
    script = Path(arguments[0])
    if not script.is_file():
        sys.stderr.write(f"python -m mimodaq.mimocorb: running {script}: there is no such file\n{_USAGE}")
        raise SystemExit(2)
    folder = script.resolve().parent
    sys.argv[:] = arguments
    if not sys.flags.safe_path:
        sys.path[0] = str(folder)
    install_alias()
    if (folder / ALIAS).exists():
        # a copy of the ancestor beside the script: in processes started by spawn or forkserver only the
        # order of the path decides which of the two is found
        sys.path.remove(SHIM)
        sys.path.insert(0, SHIM)
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
