"""``python -m ultrahand`` is the command ``ultrahand``."""

from ultrahand.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
