"""`python -m mimodaq.tui`, the same as `mimodaq tui`."""

import sys

from mimodaq.tui import main

if __name__ == "__main__":
    sys.exit(main())
