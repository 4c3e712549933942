"""What a command says and how: usage errors in one line, progress as lines where no terminal watches."""

import io
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

import tyro
from tyro.conf import CascadeSubcommandArgs, OmitArgPrefixes, OmitSubcommandPrefixes
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from sr_utils.console import tolerate_any_console

ABOUT = "Super-resolution x4: from photos to decibels. Each command tells its arguments by --help."
BAR_SECONDS = 30.0  # between two lines of a bar
MARKERS = (OmitArgPrefixes, OmitSubcommandPrefixes, CascadeSubcommandArgs)  # flags stand anywhere, by name

REGISTRY = ConstructorRegistry()


@REGISTRY.primitive_rule
def _whole_number(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """An int may be typed as 1e3, as in the notebooks."""
    if kind.type is not int:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda words: _to_int(words[0]),
        is_instance=lambda value: isinstance(value, int),
        str_from_instance=lambda value: [str(value)],
    )


def _to_int(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        with suppress(ValueError):
            if (value := float(word)).is_integer():
                return int(value)
        raise ValueError(f"expected a whole number, got {word!r}") from None


def parse(commands: Any, arguments: list[str]) -> Any:
    """The command that the arguments tell; help and errors end the program, an error in one line."""
    tolerate_any_console()  # a redirected Windows console lacks "→" and "λ"
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            return tyro.cli(
                commands,
                prog="sr-utils",
                description=ABOUT,
                args=arguments,
                config=MARKERS,
                registry=REGISTRY,
            )
    except SystemExit as exit:
        if exit.code:
            print(one_line(told.getvalue()), file=sys.stderr)
        raise
    except ValueError as error:  # of a command's own check, with tyro 1.0.0
        print(" ".join(str(error).split()), file=sys.stderr)
        raise SystemExit(2) from None


def one_line(box: str) -> str:
    """The first paragraph of a box of tyro's, the first flag of each that proposes some, and its last."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)  # no colours
    rows = [row.strip("│ ") for row in plain.splitlines()[1:]]  # the first holds the title
    paragraphs = re.split(r"^[─╰╯-]+$", "\n".join(rows), flags=re.M)
    first, *_, last = paragraphs = [text.strip() for text in paragraphs if text.strip()]
    parts = [first.removeprefix("Error parsing ").removeprefix("config: ").rstrip(".") + "."]
    for paragraph in paragraphs[1:-1]:
        flag = re.search(r"\n(--[\w-]+)", paragraph)
        if flag and not paragraph.startswith("Argument helptext"):
            parts.append(f"Did you mean {flag[1]}?")
        elif paragraph.startswith("Available"):
            parts.append(f"{paragraph}.")
    return " ".join(" ".join([*parts, last]).split())


@contextmanager
def output(*, quiet: bool) -> Iterator[None]:
    """Standard output as it suits who reads it: silent, a terminal's bars, or plain lines."""
    if quiet:
        with Path(os.devnull).open("w", encoding="utf-8") as nothing, redirect_stdout(nothing):
            yield
    elif sys.stdout.isatty():
        yield
    else:
        with Lines(sys.stdout) as lines, redirect_stdout(lines):
            yield


class Lines(io.TextIOBase):
    """Writes whole lines; of a bar, which rewrites its line, a state now and then and the last."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.line, self.told = stream, "", time.monotonic()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # no class can set it, whatever typeshed says
        """That of the stream; a bar asks for it."""
        return self.stream.encoding

    def write(self, text: str) -> int:
        """Take text, and write what is a whole line."""
        for piece in re.split(r"(\r|\n)", text):
            if piece == "\n":
                self._end_line()
            elif piece != "\r":
                self.line += piece
            elif self.line.strip() and time.monotonic() - self.told > BAR_SECONDS:
                self._end_line()
            else:
                self.line = ""
        return len(text)

    def _end_line(self) -> None:
        self.stream.write(self.line.rstrip() + "\n")
        self.stream.flush()
        self.line, self.told = "", time.monotonic()

    def close(self) -> None:
        """Write what lacks its end; the stream stays open."""
        if self.line.strip():
            self._end_line()
        super().close()
