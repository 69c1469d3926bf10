"""The command ``ultrahand``."""

from ultrahand.cli.main import main

__all__ = ["main"]
