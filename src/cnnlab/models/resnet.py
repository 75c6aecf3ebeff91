"""ResNet for small images (He et al., Deep residual learning for image recognition, 2016, section 4.2)."""

from collections.abc import Sequence

from torch import Tensor, nn

from cnnlab.blocks.conv_block import conv_norm_act
from cnnlab.blocks.layers import at_least_one, global_avg_pool
from cnnlab.blocks.residual import BasicBlock


class ResNet(nn.Module):
    """Stem, stages of basic blocks, global average pool, linear: (N, *input_shape) to logits (N, num_classes).

    Args:
        widths: channels of each stage; every stage but the first halves the feature map.
        blocks_per_stage: n of the paper's 6n + 2 layers.
        stem_kernel_size: 3 as in the paper; of waveforms a long one takes in a few periods (Dai et al., 2017).
        stem_stride: 1 as in the paper; 2 costs a quarter and suits 28x28 on a CPU.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        widths: Sequence[int] = (16, 32, 64),
        blocks_per_stage: int = 1,
        stem_stride: int = 2,
        stem_kernel_size: int = 3,
    ) -> None:
        super().__init__()
        counts = {"blocks_per_stage": blocks_per_stage, "stem_stride": stem_stride, "number of widths": len(widths)}
        at_least_one(**counts, stem_kernel_size=stem_kernel_size)
        dims = len(input_shape) - 1
        channels = widths[0]
        layers: list[nn.Module] = [
            conv_norm_act(
                dims, input_shape[0], channels, stem_kernel_size, stem_stride, stem_kernel_size // 2, norm_kind="batch"
            )
        ]
        for stage, width in enumerate(widths):
            at_least_one(widths=width)
            for block in range(blocks_per_stage):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(BasicBlock(dims, channels, width, stride))
                channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(global_avg_pool(dims), nn.Flatten(), nn.Linear(channels, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
