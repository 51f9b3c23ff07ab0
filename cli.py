"""The `crm-elt` command. Each group of commands is a module of `commands/`."""

from __future__ import annotations

import sys

from commands.application import application
from commands.failures import exit_code_of


def main() -> None:
    """Run the command line of this process; exit 0 on success, 1 on failure, 2 on wrong usage."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments  # taken anywhere on the line
    sys.exit(exit_code_of(application, [word for word in arguments if word != "--debug"], debug=debug))


if __name__ == "__main__":
    main()
