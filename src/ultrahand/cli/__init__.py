"""The command ``ultrahand``."""

from ultrahand.errors import EXIT_INTERRUPTED


def main() -> int:
    """Run the command line; an interrupt ends it quietly even while it is still imported."""
    try:
        from ultrahand.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


__all__ = ["main"]
