"""Stopping a run without losing a step: signals wait for the end of one, and output may end before it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def stop_flag() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM or a closed terminal sets, so that a step is finished and saved first.

    Ctrl-C counts even where a shell left it ignored, as for a background job of a script; `nohup` stays.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield flag
        return
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    kinds = [signal.SIGINT, signal.SIGTERM]
    if hangup and signal.getsignal(hangup) != signal.SIG_IGN:
        kinds.append(hangup)

    def stop(kind: int, _frame: object) -> None:
        flag.set()
        if kind != hangup:  # which shell and terminal both send
            # A second one does not wait for the end of a step.
            signal.signal(kind, again[signal.Signals(kind)])

    before = {kind: signal.getsignal(kind) or signal.SIG_DFL for kind in kinds}
    again = dict(before)
    if before[signal.SIGINT] == signal.SIG_IGN:
        again[signal.SIGINT] = signal.default_int_handler
    for kind in kinds:
        signal.signal(kind, stop)
    try:
        yield flag
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


class LastingOutput:
    """Standard output that may end before a run: a closed terminal, or `| tee` that Ctrl-C ended first."""

    def write(self, text: str) -> None:
        """As the stream does, or not at all."""
        with suppress(OSError):
            sys.stdout.write(text)

    def flush(self) -> None:
        """As the stream does, or not at all."""
        with suppress(OSError):
            sys.stdout.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)
