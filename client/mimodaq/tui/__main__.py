"""`python -m mimodaq.tui`."""

from mimodaq.tui import main

if __name__ == "__main__":
    main()
