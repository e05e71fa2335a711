"""The student: the full model's backbone at a small scale, and soft attention over its nine positions.

It has no autoencoder (the teacher's knowledge of clean faces comes through its logits) and no recurrent part, which
costs
every engine more time than the convolutions do and is what int8 converters get wrong.
"""

from __future__ import annotations

from torch import Tensor, nn

from distill.config import StudentConfig
from edge_runtime.emotions.labels import EMOTIONS
from train.model import Backbone, SoftAttention


class Student(nn.Module):
    """Normalised faces (n, 1, 48, 48) to logits (n, 7)."""

    def __init__(self, config: StudentConfig) -> None:
        """Build it from its shape."""
        super().__init__()
        self.backbone = Backbone(config.widths, config.blocks)
        self.attention = SoftAttention(config.widths[-1])
        self.classify = nn.Linear(config.widths[-1], len(EMOTIONS))

    def forward(self, faces: Tensor) -> Tensor:
        """Logits (n, 7) of normalised faces (n, 1, 48, 48)."""
        positions = self.backbone(faces).flatten(2).transpose(1, 2)  # (n, 128, 3, 3) -> (n, 9, 128)
        logits: Tensor = self.classify(self.attention(positions))
        return logits
