"""The networks of the comparison, one file each; float (N, 3, H, W) in [0, 1] → (N, 3, 4H, 4W)."""

from torch import nn

from sr_utils.networks.carn import CARN
from sr_utils.networks.edsr import EDSR
from sr_utils.networks.msrresnet import MSRResNet
from sr_utils.networks.network import Network
from sr_utils.networks.two_scale import TwoScale

NETWORKS: dict[str, type[Network]] = {
    "msrresnet": MSRResNet,
    "edsr": EDSR,
    "carn": CARN,
    "two_scale": TwoScale,
}


def make_network(name: str, **arguments: int | float) -> Network:
    """A new network with random weights; `name` is one of NETWORKS."""
    if name not in NETWORKS:
        raise ValueError(f"network: expected {', '.join(NETWORKS)}, got {name!r}.")
    return NETWORKS[name](**arguments)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


__all__ = ["CARN", "EDSR", "NETWORKS", "MSRResNet", "Network", "TwoScale", "count_parameters", "make_network"]
