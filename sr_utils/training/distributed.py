"""One run on several processes, started by torchrun: each draws the whole batch and trains on its slice.

So one GPU and four GPUs train the same run. A process that torchrun did not start is alone: rank 0 of 1.

Source: PyTorch's DistributedDataParallel.
"""

import atexit
import os
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed
from torch import nn


class Group(NamedTuple):
    """This process among those of the run."""

    rank: int = 0
    size: int = 1

    def take(self, batch: torch.Tensor) -> torch.Tensor:
        """This process's share of a whole batch (N, …): every `size`-th image."""
        return batch[self.rank :: self.size]

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, with its gradients averaged over the processes."""
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)

    def agree(self, answer: bool, device: torch.device) -> bool:
        """Whether any process says yes; every process must call it."""
        return bool(self.total(torch.tensor(float(answer), device=device)))

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of all processes' values; every process must call it."""
        values = values.clone()
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values


def join() -> Group:
    """Meet the processes that torchrun started, each with a GPU of its own where there are GPUs."""
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return Group()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not torch.distributed.is_initialized():
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        # the first process alone validates, while the others wait
        torch.distributed.init_process_group(backend, timeout=timedelta(hours=2))
        atexit.register(torch.distributed.destroy_process_group)
    return Group(torch.distributed.get_rank(), size)
