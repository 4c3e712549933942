"""What a child process of a test runs; a module of its own, so that every start method can import it."""

from collections.abc import Callable

import torch

NOTEBOOK_STEPS = 20  # of training, where the notebooks are executed
NOTEBOOK_CHANGES = {"log_every": 5}  # carried by all notebooks


def run_child(begun, function: Callable, arguments: tuple) -> None:
    torch.set_num_threads(1)
    torch.cuda.is_available = torch.backends.mps.is_available = lambda: False  # as `_on_the_cpu`
    function(begun, *arguments)
