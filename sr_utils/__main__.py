"""The front door: `sr-utils COMMAND …`, the same as `python -m sr_utils COMMAND …`.

Exit codes: 0 done, 1 failed, 2 a command line that cannot be meant, 130 Ctrl-C.
"""

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; a failure is told in one line on standard error."""
    try:
        from sr_utils.commands import COMMANDS
        from sr_utils.commands.sweep import Sweep, spread
        from sr_utils.commands.terminal import output, parse

        lines = spread(sys.argv[1:] if arguments is None else arguments)
        command, *others = (parse(COMMANDS, line) for line in lines)
        command = Sweep((command, *others)) if others else command
        with output(quiet=command.quiet):
            command.require_root()
            command.run()
    except KeyboardInterrupt:
        return 130
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 1
    except (ValueError, OSError, FloatingPointError, ImportError, RuntimeError) as error:
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
