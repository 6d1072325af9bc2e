#!/usr/bin/env python3
# Makes trunk.safetensors: the features that PyTorch gives for four sample photos through the pretrained trunk of models/transfer.json;
# tests/transfer_test.cpp compares the core with them. Needs Debian's python3-torch and python3-pil, and the weights that
# scripts/backbone.mjs writes. The network is written down here once more, on purpose: a mistake in the spec must show.
import json
import pathlib

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

import safetensors_io

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# MobileNetV2, table 2: expansion, channels, blocks, stride of the first.
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)]


def convolve(weights, x, name, stride=1, groups=1, relu6=True):
    """TensorFlow's SAME padding: the odd row or column comes last."""
    kernel = weights[name + ".weight"].shape[2]
    total = max(0, (-(-x.shape[2] // stride) - 1) * stride + kernel - x.shape[2])
    x = functional.pad(x, (total // 2, total - total // 2) * 2)
    x = functional.conv2d(x, weights[name + ".weight"], weights[name + ".bias"], stride=stride, groups=groups)
    return x.clamp(0, 6) if relu6 else x


def features(weights, x):
    x = convolve(weights, x * 2 - 1, "stem", 2)
    block = 0
    for expansion, channels, blocks, first_stride in STAGES:
        for i in range(blocks):
            stride = first_stride if i == 0 else 1
            prefix = f"block{block}.body." if i > 0 else f"block{block}_"
            y = convolve(weights, x, prefix + "expand") if expansion > 1 else x
            y = convolve(weights, y, prefix + "dw", stride, y.shape[1])
            y = convolve(weights, y, prefix + "project", relu6=False)
            x = x + y if i > 0 else y
            block += 1
    return x.mean((2, 3))


def main():
    weights, _ = safetensors_io.load_file(ROOT / "models/mobilenet_v2_trunk.safetensors")
    weights = {name: torch.from_numpy(value.astype(np.float64)) for name, value in weights.items()}
    folder = ROOT / "web/public/samples/photos"
    photos = [str(sorted(path.glob("*"))[0].relative_to(folder)) for path in sorted(folder.iterdir()) if path.is_dir()]
    images = [Image.open(folder / photo).convert("RGB").resize((224, 224), Image.BILINEAR) for photo in photos]
    x = torch.from_numpy(np.stack([np.asarray(image) for image in images])).double().permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        out = features(weights, x)
    safetensors_io.save_file({"features": out.numpy().astype(np.float32)}, HERE / "trunk.safetensors", {"photos": json.dumps(photos)})
    print(photos, tuple(out.shape))


if __name__ == "__main__":
    main()
