"""Installs the alias in a process that was started with nothing but the `sys.path` of its parent."""

from mimodaq.mimocorb._alias import install_alias

install_alias()
__import__("mimocorb")
