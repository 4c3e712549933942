"""Text for consoles of any encoding: what cp1252 or ASCII lacks is shown as "?", and ends no run."""

import sys


def say(text: object) -> None:
    """Print a line, whatever the encoding of the output; functions of the package print by this alone."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(str(text).encode(encoding, "replace").decode(encoding), flush=True)


def tolerate_any_console() -> None:
    """Let everything that a command prints (help, notebooks, bars) pass through its output."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
