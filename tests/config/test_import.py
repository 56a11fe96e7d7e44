"""Importing the package is cheap and pulls in nothing else of ours."""

import subprocess
import sys

HEAVY = ["pydantic", "pyarrow", "scipy", "matplotlib", "textual", "zmq", "msgpack", "asyncio", "multiprocessing"]


def test_the_import_is_light():
    code = (
        "import sys, mimodaq.config\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
        "print(sorted(n for n in sys.modules if n.startswith('mimodaq.') and not n.startswith('mimodaq.config')))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[:2] == ["[]", "[]"]
