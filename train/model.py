"""The full model of the paper: clean the face, read it, run over its positions, weigh them, name the emotion.

Layer sizes are not published; ``ModelConfig`` holds ours. Shapes beside the lines are for the defaults and a batch of
n.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_runtime.emotions.labels import EMOTIONS, FACE_SIZE
from edge_runtime.emotions.normalise import MEAN, STD
from train.config import ModelConfig


class Autoencoder(nn.Module):
    """Encoder and decoder that rebuild a clean face from a corrupted one; both float (n, 1, 48, 48) in [0, 1].

    It predicts the difference to its input, and from the face as a whole how much of it to add: a clean face is kept
    as it is. Work is done at half resolution and below (the 48×48 picture is folded to 24×24×4), which makes it cheap
    beside the backbone.
    """

    def __init__(self, width: int) -> None:
        """Build it with ``width`` channels at 24×24 and twice as many at 12×12."""
        super().__init__()
        self.encode = conv_unit(4, width)
        self.deepen = nn.Sequential(
            conv_unit(width, 2 * width, stride=2), conv_unit(2 * width, 2 * width), conv_unit(2 * width, 4 * width)
        )
        self.decode = conv_unit(2 * width, width)
        self.difference = nn.Conv2d(width, 4, 3, padding=1)
        nn.init.zeros_(self.difference.weight)
        self.amount = nn.Linear(4 * width, 1)

    def forward(self, faces: Tensor) -> Tensor:
        """Restore faces (n, 1, 48, 48) in [0, 1]."""
        fine = self.encode(F.pixel_unshuffle(faces, 2))  # (n, 16, 24, 24)
        coarse = self.deepen(fine)  # (n, 64, 12, 12)
        amount = torch.sigmoid(self.amount(coarse.mean((2, 3))))[:, :, None, None]  # (n, 1, 1, 1)
        joined = self.decode(torch.cat([fine, F.pixel_shuffle(coarse, 2)], dim=1))  # (n, 16, 24, 24), twice
        return (faces + amount * F.pixel_shuffle(self.difference(joined), 2)).clamp(0, 1)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut (He et al. 2016), which is a 1×1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        """Build a block that halves the map when ``stride`` is 2."""
        super().__init__()
        self.first = conv_unit(channels_in, channels_out, stride=stride)
        self.second = conv_unit(channels_out, channels_out, relu=False)
        same = stride == 1 and channels_in == channels_out
        self.shortcut = (
            nn.Identity() if same else conv_unit(channels_in, channels_out, kernel=1, stride=stride, relu=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels_in, h, w) to (n, channels_out, h / stride, w / stride)."""
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


Block = Callable[[int, int, int], nn.Module]
"""What builds a block of a backbone from its channels in, channels out and stride."""


class Backbone(nn.Sequential):
    """5×5 stem, then stages of residual blocks, each but the first halving the map.

    Maps faces (n, 1, 48, 48) to features (n, 320, 6, 6).
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        kinds: tuple[Block, ...] = (ResidualBlock,) * 4,
        *,
        stem_stride: int,
    ) -> None:
        """Build one stage for each width; ``kinds``: what each stage is made of."""
        layers: list[nn.Module] = [conv_unit(1, widths[0], kernel=5, stride=stem_stride)]  # (n, 32, 48, 48)
        channels = widths[0]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for block in range(count):
                layers.append(kinds[stage](channels, width, 2 if stage and not block else 1))
                channels = width
        super().__init__(*layers)


class SoftAttention(nn.Module):
    """Additive attention over positions: (n, positions, features) -> (n, features) (Bahdanau et al. 2015)."""

    def __init__(self, features: int) -> None:
        """Build the two-layer scorer."""
        super().__init__()
        self.hidden = nn.Linear(features, features // 2)
        self.score = nn.Linear(features // 2, 1, bias=False)

    def weights(self, states: Tensor) -> Tensor:
        """Importance of each position, (n, positions), positive, summing to 1."""
        scores: Tensor = self.score(torch.tanh(self.hidden(states)))
        return torch.softmax(scores.squeeze(-1), dim=-1)

    def forward(self, states: Tensor) -> Tensor:
        """Sum the states by their importance."""
        return (self.weights(states).unsqueeze(1) @ states).squeeze(1)


class MeanPool(nn.Module):
    """Mean over positions, for a model without attention: (n, positions, features) -> (n, features)."""

    def forward(self, states: Tensor) -> Tensor:
        """Weigh all positions alike."""
        return states.mean(1)


class BiLSTM(nn.LSTM):
    """Bidirectional LSTM over positions (n, positions, features) -> (n, positions, width)."""

    def __init__(self, features: int, width: int) -> None:
        """Build both directions, each of half the ``width``."""
        super().__init__(features, width // 2, batch_first=True, bidirectional=True)

    def forward(self, sequence: Tensor) -> Tensor:  # type: ignore[override]
        """States of both directions at each position."""
        states: Tensor = super().forward(sequence)[0]
        return states


class Transformer(nn.Module):
    """Transformer encoder layer in the LSTM's place (Vaswani et al. 2017), pre-norm, with learned positions."""

    def __init__(self, features: int, width: int, positions: int) -> None:
        """Build one layer of four heads."""
        super().__init__()
        self.project = nn.Linear(features, width)
        self.position = nn.Parameter(torch.zeros(positions, width))
        self.layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.1, batch_first=True, norm_first=True)

    def forward(self, sequence: Tensor) -> Tensor:
        """Map (n, positions, features) to (n, positions, width)."""
        states: Tensor = self.layer(self.project(sequence) + self.position)
        return states


class FullModel(nn.Module):
    """Normalised faces (n, 1, 48, 48) to logits (n, 7)."""

    def __init__(self, config: ModelConfig) -> None:
        """Build the parts that ``config`` asks for."""
        super().__init__()
        features, width = config.widths[-1], config.context_width
        positions = (FACE_SIZE // config.stem_stride >> (len(config.widths) - 1)) ** 2
        self.autoencoder = Autoencoder(config.autoencoder_width) if config.autoencoder else nn.Identity()
        self.autoencoder.requires_grad_(requires_grad=False)  # it learns alone, and first: train/restore.py
        self.backbone = Backbone(config.widths, config.blocks, stem_stride=config.stem_stride)
        self.context: nn.Module
        match config.context:
            case "bilstm":
                self.context = BiLSTM(features, width)
            case "transformer":
                self.context = Transformer(features, width, positions)
            case "none":
                self.context, width = nn.Identity(), features
        self.width = width
        """Length of a context vector."""
        self.attention = SoftAttention(width) if config.attention else MeanPool()
        self.classify = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(width, len(EMOTIONS)))

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002  (torch's signature)
        """Switch all parts but the autoencoder, whose batch norm keeps the statistics of what it learned from."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def restore(self, faces: Tensor) -> Tensor:
        """Clean normalised faces; the autoencoder itself works, and answers, in [0, 1]."""
        restored: Tensor = self.autoencoder(faces * STD + MEAN)
        return restored

    def states(self, restored: Tensor) -> Tensor:
        """States (n, 36, 256) of the positions, row by row, of restored faces in [0, 1]."""
        features = self.backbone((restored - MEAN) / STD)  # (n, 320, 6, 6)
        states: Tensor = self.context(features.flatten(2).transpose(1, 2))  # (n, 36, 320) in, (n, 36, 256) out
        return states

    def embed(self, faces: Tensor) -> Tensor:
        """Context vectors (n, 256) of normalised faces."""
        vectors: Tensor = self.attention(self.states(self.restore(faces)))
        return vectors

    def forward(self, faces: Tensor) -> Tensor:
        """Logits (n, 7) of normalised faces (n, 1, 48, 48)."""
        logits: Tensor = self.classify(self.embed(faces))
        return logits


def conv_unit(
    channels_in: int, channels_out: int, *, kernel: int = 3, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution, batch norm and, unless told otherwise, ReLU."""
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    unit = nn.Sequential(convolution, nn.BatchNorm2d(channels_out))
    if relu:
        unit.append(nn.ReLU(inplace=True))
    return unit
