"""The student family: a backbone at a small scale, a BiLSTM over its nine positions if asked for, and soft attention.

It has no autoencoder: the teacher's knowledge of clean faces comes through its probabilities.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from distill.config import StudentConfig
from edge_runtime.emotions.labels import EMOTIONS
from train.model import Backbone, BiLSTM, ResidualBlock, SoftAttention, conv_unit


class SeparableBlock(nn.Module):
    """Universal inverted bottleneck (Qin et al. 2024, MobileNetV4), with both of its depthwise convolutions.

    The first one sees the narrow map and halves it, so that the widened one is never large; the block's own output is
    not rectified, which keeps what the next one adds to whole (Sandler et al. 2018).
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, *, expansion: int) -> None:
        """Build a block whose inner map has ``expansion`` times ``channels_in`` channels."""
        super().__init__()
        wide = expansion * channels_in
        self.add = stride == 1 and channels_in == channels_out
        self.layers = nn.Sequential(
            conv_unit(channels_in, channels_in, stride=stride, groups=channels_in, relu=False),
            conv_unit(channels_in, wide, kernel=1),
            conv_unit(wide, wide, groups=wide),
            conv_unit(wide, channels_out, kernel=1, relu=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels_in, h, w) to (n, channels_out, h / stride, w / stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.add else y


class Student(nn.Module):
    """Normalised faces (n, 1, 48, 48) to logits (n, 7)."""

    def __init__(self, config: StudentConfig) -> None:
        """Build it from its shape."""
        super().__init__()
        features, width = config.widths[-1], config.context_width
        separable = partial(SeparableBlock, expansion=config.expansion)
        kinds = [ResidualBlock] * config.dense_stages + [separable] * (len(config.widths) - config.dense_stages)
        self.backbone = Backbone(config.widths, config.blocks, tuple(kinds), stem_stride=2)
        self.context = BiLSTM(features, width) if config.context == "bilstm" else nn.Identity()
        self.width = width if config.context == "bilstm" else features
        """Length of a context vector."""
        self.attention = SoftAttention(self.width)
        self.classify = nn.Linear(self.width, len(EMOTIONS))

    def embed(self, faces: Tensor) -> Tensor:
        """Context vectors (n, 128) of normalised faces."""
        positions = self.backbone(faces).flatten(2).transpose(1, 2)  # (n, 128, 3, 3) -> (n, 9, 128)
        vectors: Tensor = self.attention(self.context(positions))
        return vectors

    def forward(self, faces: Tensor) -> Tensor:
        """Logits (n, 7) of normalised faces (n, 1, 48, 48)."""
        logits: Tensor = self.classify(self.embed(faces))
        return logits
