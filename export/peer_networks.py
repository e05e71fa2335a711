"""The architectures of two networks that other projects ship, with random weights: what they cost, not what they know.

``python -m export.peer_networks FOLDER`` writes efficientnet-b0-224.onnx and mobilefacenet-112.onnx. Cost does not
depend on the weights; theirs are not on any package index.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.files import whole


def efficientnet_b0() -> nn.Module:
    """EfficientNet-B0 (Tan & Le 2019), which HSEmotion ships: images (n, 3, 224, 224) to logits (n, 7)."""
    # transformers comes with litert-torch and builds it without weights; torchvision and timm would bring another torch
    from transformers import EfficientNetConfig, EfficientNetForImageClassification

    config = EfficientNetConfig(image_size=224, width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280)
    config.num_labels = len(EMOTIONS)

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = EfficientNetForImageClassification(config)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.network(images).logits
            return logits

    return Logits()


def mobilefacenet() -> nn.Module:
    """MobileFaceNet (Chen et al. 2018) at twice its width, as InsightFace and EmotiEffLib: images (n, 3, 112, 112).

    Logits (n, 7) take the place of their embedding.
    """
    stages = [(128, 128, 128, 2), *[(128, 128, 128, 1)] * 4, (128, 256, 256, 2), *[(256, 256, 256, 1)] * 6]
    stages += [(256, 512, 256, 2), *[(256, 256, 256, 1)] * 2]
    return nn.Sequential(
        *_convolution(3, 128, kernel=3, stride=2),  # 56×56
        *_convolution(128, 128, kernel=3, groups=64),
        *(_Bottleneck(*stage) for stage in stages),  # 28×28, 14×14, 7×7
        *_convolution(256, 512, kernel=1),
        nn.Conv2d(512, 512, 7, groups=512, bias=False),  # a weight for each place, where others take the mean
        nn.BatchNorm2d(512),
        nn.Flatten(),
        nn.Linear(512, 512, bias=False),
        nn.BatchNorm1d(512),
        nn.Linear(512, len(EMOTIONS)),
    )


class _Bottleneck(nn.Module):
    """1×1 to the inner width, 3×3 of each channel by itself, 1×1 back without a non-linearity."""

    def __init__(self, reads: int, inner: int, writes: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1
        self.body = nn.Sequential(
            *_convolution(reads, inner, kernel=1),
            *_convolution(inner, inner, kernel=3, stride=stride, groups=inner),
            *_convolution(inner, writes, kernel=1)[:2],
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.residual else y


def _convolution(reads: int, writes: int, *, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(reads, writes, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(writes), nn.PReLU(writes)]


def main() -> None:
    """Write both files into the folder that is named."""
    folder = Path(sys.argv[1])
    for name, build, side in (("efficientnet-b0-224", efficientnet_b0, 224), ("mobilefacenet-112", mobilefacenet, 112)):
        torch.manual_seed(0)
        network, images = build(), torch.randn(8, 3, side, side)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.momentum = 1.0  # one pass sets its statistics, so that no value dies away or grows without end
        with torch.no_grad():
            network.train()(images)
        with whole(folder / f"{name}.onnx") as partial:
            torch.onnx.export(
                network.eval(),
                (images[:2],),
                partial,
                dynamo=True,
                opset_version=18,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)},),
                external_data=False,
                verbose=False,
            )
        print(f"{name}: {sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters, random")


if __name__ == "__main__":
    main()
