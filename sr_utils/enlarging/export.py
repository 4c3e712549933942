"""A network as a file that other programs run."""

import copy
from pathlib import Path

import torch
from torch import nn

from sr_utils.files import write_atomic


def export_onnx(model: nn.Module, path: Path | str) -> None:
    """Write a network as ONNX with free height and width; needs `pip install "sr-utils[onnx]"`.

    Input "lr": float32 (1, 3, H, W) RGB in [0, 1]; output "sr": (1, 3, 4H, 4W).
    """
    sizes = {"lr": {2: "height", 3: "width"}}
    lr = torch.rand(1, 3, 24, 32)
    program = torch.onnx.export(
        copy.deepcopy(model).cpu().eval(),
        (lr,),
        input_names=["lr"],
        output_names=["sr"],
        dynamic_shapes=sizes,
        dynamo=True,
        verbose=False,
    )
    assert program  # only the exporter without dynamo gives none
    write_atomic(path, program.model_proto.SerializeToString())
