"""One table of torch's layers for 1-D (audio, text), 2-D (images) and 3-D (volumes, video).

`num_spatial_dims` counts the axes behind (batch, channels): 2 for images in NCHW.
"""

from collections.abc import Callable, Sequence

from torch import nn

from cnnlab.errors import did_you_mean

Padding = int | str | Sequence[int]

_CONV: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL: dict[str, dict[int, Callable[..., nn.Module]]] = {
    "max": {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d},
    "avg": {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d},
}
_GLOBAL_AVG_POOL: dict[int, Callable[..., nn.Module]] = {
    1: nn.AdaptiveAvgPool1d,
    2: nn.AdaptiveAvgPool2d,
    3: nn.AdaptiveAvgPool3d,
}
_GLOBAL_MAX_POOL: dict[int, Callable[..., nn.Module]] = {
    1: nn.AdaptiveMaxPool1d,
    2: nn.AdaptiveMaxPool2d,
    3: nn.AdaptiveMaxPool3d,
}

_NOT_ELEMENTWISE = {"GLU", "LogSoftmax", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin", "Threshold"}


def at_least_one(**counts: int) -> None:
    """Raise ValueError with the argument's name for a count below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def conv(
    num_spatial_dims: int,
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    padding: Padding = "same",
    bias: bool = True,
    groups: int = 1,
) -> nn.Module:
    """Cross-correlation, which deep learning calls convolution: (N, in_channels, *S) to (N, out_channels, *S').

    Args:
        groups: into how many parts the channels are split, each convolved by itself; in_channels for a depthwise conv.

    Raises:
        ValueError: for a count below 1, a number of dims or a padding torch does not know, or padding="same" with a
            stride, which torch does not define.
    """
    at_least_one(kernel_size=kernel_size, stride=stride)
    if num_spatial_dims not in _CONV:
        raise ValueError(f"convolutions need data with 1, 2 or 3 spatial dims, got {num_spatial_dims}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding must be same, valid, an int or one int per spatial dim, got {padding!r}")
        if padding == "same" and stride > 1:
            raise ValueError(f"padding=same needs stride=1, got stride={stride}; use padding={(kernel_size - 1) // 2}")
    else:
        padding = (padding,) * num_spatial_dims if isinstance(padding, int) else tuple(padding)
        if len(padding) != num_spatial_dims:
            raise ValueError(f"padding must hold {num_spatial_dims} ints, one per spatial dim, got {list(padding)}")
        if min(padding) < 0:
            raise ValueError(f"padding must not be negative, got {list(padding)}")
    layer: nn.Module = _CONV[num_spatial_dims](
        in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=bias
    )
    return layer


def norm(num_spatial_dims: int, kind: str, channels: int) -> nn.Module | None:
    """Batch norm (Ioffe & Szegedy, 2015), group norm (Wu & He, 2018; at most 8 groups), or None for "none"."""
    if kind == "none":
        return None
    if kind == "batch":
        layer: nn.Module = _BATCH_NORM[num_spatial_dims](channels)
        return layer
    if kind == "group":
        return nn.GroupNorm(
            next(groups for groups in range(min(8, channels), 0, -1) if channels % groups == 0), channels
        )
    raise ValueError(f"norm must be none, batch or group, got {kind!r}")


def activation(name: str) -> nn.Module:
    """An activation of torch.nn by its name in any case: relu, tanh, gelu, silu, leakyrelu, …"""
    from torch.nn.modules import activation as known

    classes = {cls.lower(): cls for cls in known.__all__ if cls not in _NOT_ELEMENTWISE}
    if name.lower() not in classes:
        nearest = did_you_mean(name.lower(), classes)
        raise ValueError(f"activation must be one of torch.nn's by name, such as relu or gelu, got {name!r}{nearest}")
    layer: nn.Module = getattr(nn, classes[name.lower()])()
    return layer


def pool(num_spatial_dims: int, kind: str, kernel_size: int = 2, stride: int | None = None) -> nn.Module:
    """Max or average pooling; (N, C, *S) to (N, C, *S // stride), the stride being the kernel size unless given."""
    if kind not in _POOL:
        raise ValueError(f"pool must be max or avg, got {kind!r}")
    layer: nn.Module = _POOL[kind][num_spatial_dims](kernel_size, stride)
    return layer


def global_avg_pool(num_spatial_dims: int) -> nn.Module:
    """Mean over all spatial dims: (N, C, *S) to (N, C, 1, …)."""
    layer: nn.Module = _GLOBAL_AVG_POOL[num_spatial_dims](1)
    return layer


def global_max_pool(num_spatial_dims: int) -> nn.Module:
    """Maximum over all spatial dims, over time in 1-D: (N, C, *S) to (N, C, 1, …)."""
    layer: nn.Module = _GLOBAL_MAX_POOL[num_spatial_dims](1)
    return layer
