#!/usr/bin/env python3
# Makes the golden files beside it with PyTorch; tests/golden_test.cpp compares the core with them.
# Rule: every input comes from core/rng.h's counter-based hash, so that the goldens do not depend on a library's generator and
# weights too big to commit are made again in C++. Answers are computed in float64 and stored as float32.
# Needs Debian's python3-torch. `make_goldens.py` writes the files, `make_goldens.py --check` compares with those that are there.
import argparse
import copy
import json
import math
import pathlib
import sys
from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import lesson_networks
import safetensors_io

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN_RATIO = 0x9E3779B97F4A7C15
ALL_BITS = (1 << 64) - 1


# --- core/rng.h in numpy -----------------------------------------------------------------------------------------------


def mix64(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hashes(seed, stream, count):
    """Rng(seed, stream).at(0) ... at(count - 1)."""
    parts = np.array([(seed + GOLDEN_RATIO) & ALL_BITS, (stream * 0xD1342543DE82EF95 + 1) & ALL_BITS], np.uint64)
    mixed = mix64(parts)
    return mix64((mixed[0] ^ mixed[1]) + np.arange(count, dtype=np.uint64) * np.uint64(GOLDEN_RATIO))


def uniform(seed, stream, count):
    """Rng(seed, stream).uniform_at(0) ... in [0, 1)."""
    return (hashes(seed, stream, count) >> np.uint64(40)).astype(np.float64) * 2.0**-24


def signed(seed, stream, shape, scale=1.0):
    """Uniform in [-scale, scale), rounded to float32 so that the core gets the same numbers."""
    values = (uniform(seed, stream, math.prod(shape)) * 2 - 1) * scale
    return values.astype(np.float32).reshape(shape)


# --- layers ------------------------------------------------------------------------------------------------------------


def layer_cases():
    """name -> (input [h, w, c], layers, options). Options: batch, scale and shift of x."""

    def conv(name="conv", **keys):
        return {"type": "Conv2d", "name": name, **keys}

    def linear(name, out):
        return {"type": "Linear", "name": name, "out_features": out}

    flatten = {"type": "Flatten"}
    cases = OrderedDict()

    def add(name, input_shape, *layers, **options):
        assert name not in cases
        cases[name] = (list(input_shape), list(layers), options)

    # Conv2d: stride x padding x odd and even sizes, then every other option and the corners where they meet.
    for stride in (1, 2, 3):
        for padding in (0, 1):
            for size in ((7, 6), (5, 8)):
                add(f"conv2d stride {stride} padding {padding} input {size[0]}x{size[1]}", (*size, 3),
                    conv(out_channels=4, kernel_size=3, stride=stride, padding=padding), flatten)
    add("conv2d 1x1", (5, 3, 6), conv(out_channels=7, kernel_size=1), flatten)
    add("conv2d 1x1 stride 2", (5, 6, 4), conv(out_channels=3, kernel_size=1, stride=2), flatten)
    add("conv2d 2x2 even kernel padding 1", (5, 4, 2), conv(out_channels=3, kernel_size=2, padding=1), flatten)
    add("conv2d kernel as large as the input", (4, 5, 3), conv(out_channels=5, kernel_size=[4, 5]), flatten)
    add("conv2d kernel larger than the input but for padding", (3, 3, 2),
        conv(out_channels=3, kernel_size=5, padding=2), flatten)
    add("conv2d 7x7 stride 2 padding 3", (11, 10, 3), conv(out_channels=4, kernel_size=7, stride=2, padding=3), flatten)
    add("conv2d asymmetric kernel, stride and padding", (9, 7, 3),
        conv(out_channels=4, kernel_size=[3, 2], stride=[2, 1], padding=[0, 1]), flatten)
    add("conv2d asymmetric the other way", (6, 11, 3),
        conv(out_channels=4, kernel_size=[1, 5], stride=[1, 3], padding=[0, 2]), flatten)
    add("conv2d dilation 2", (8, 7, 3), conv(out_channels=4, kernel_size=3, dilation=2), flatten)
    add("conv2d dilation 2 padding 2 stride 2", (9, 8, 3),
        conv(out_channels=4, kernel_size=3, dilation=2, padding=2, stride=2), flatten)
    add("conv2d asymmetric dilation", (9, 7, 2),
        conv(out_channels=3, kernel_size=[3, 2], dilation=[2, 3], padding=[1, 0]), flatten)
    add("conv2d two groups", (6, 5, 4), conv(out_channels=6, kernel_size=3, padding=1, groups=2), flatten)
    add("conv2d groups with stride and odd sizes", (7, 9, 6),
        conv(out_channels=9, kernel_size=3, stride=2, padding=1, groups=3), flatten)
    add("conv2d groups with stride 3, dilation 2 and a row left over", (10, 9, 4),
        conv(out_channels=4, kernel_size=2, stride=3, dilation=2, groups=2), flatten)
    add("conv2d depthwise", (6, 7, 8), conv(out_channels=8, kernel_size=3, padding=1, groups=8), flatten)
    add("conv2d depthwise stride 2", (7, 6, 5), conv(out_channels=5, kernel_size=3, padding=1, stride=2, groups=5), flatten)
    add("conv2d depthwise with multiplier 2", (5, 6, 3), conv(out_channels=6, kernel_size=3, groups=3), flatten)
    add("conv2d without bias", (5, 5, 3), conv(out_channels=4, kernel_size=3, bias=False), flatten)
    add("conv2d one channel", (6, 6, 1), conv(out_channels=1, kernel_size=3, padding=1), flatten)
    add("conv2d 16 to 24 channels", (4, 5, 16), conv(out_channels=24, kernel_size=3, padding=1), flatten)
    add("conv2d 17 to 9 channels", (4, 4, 17), conv(out_channels=9, kernel_size=3, padding=1), flatten)
    add("conv2d batch of one", (6, 5, 3), conv(out_channels=4, kernel_size=3, padding=1), flatten, batch=1)
    add("conv2d twice", (6, 5, 3), conv("first", out_channels=4, kernel_size=3, padding=1),
        conv("second", out_channels=3, kernel_size=3, stride=2), flatten)

    add("relu", (3, 5, 4), {"type": "ReLU"}, flatten)
    add("conv2d relu", (5, 6, 3), conv(out_channels=5, kernel_size=3, padding=1), {"type": "ReLU"}, flatten)

    def max_pool(**keys):
        return {"type": "MaxPool2d", **keys}

    add("max_pool2d 2", (6, 8, 3), max_pool(kernel_size=2), flatten)
    add("max_pool2d 2 odd sizes", (7, 5, 3), max_pool(kernel_size=2, stride=2), flatten)
    add("max_pool2d all negative", (6, 6, 3), max_pool(kernel_size=2, stride=2), flatten, scale=0.5, shift=-2)
    add("max_pool2d 3 stride 2 padding 1", (7, 8, 2), max_pool(kernel_size=3, stride=2, padding=1), flatten)
    add("max_pool2d padding never wins over negative values", (5, 6, 2),
        max_pool(kernel_size=3, stride=2, padding=1), flatten, scale=0.5, shift=-2)
    add("max_pool2d overlapping windows", (6, 5, 3), max_pool(kernel_size=3, stride=1), flatten)
    add("max_pool2d gaps between windows", (8, 9, 2), max_pool(kernel_size=2, stride=3), flatten)
    add("max_pool2d asymmetric", (7, 9, 2), max_pool(kernel_size=[2, 3], stride=[1, 2], padding=[1, 0]), flatten)

    # Conv2d + ReLU + MaxPool2d(2): one kernel in the core.
    for height, width, channels, out in ((8, 6, 3, 16), (7, 9, 3, 5), (4, 5, 16, 17)):
        add(f"conv2d relu max_pool2d {height}x{width} {channels} to {out}", (height, width, channels),
            conv(out_channels=out, kernel_size=3, padding=1), {"type": "ReLU"}, max_pool(kernel_size=2, stride=2), flatten)
    add("conv2d relu max_pool2d stride 2 no bias", (11, 12, 3),
        conv(out_channels=4, kernel_size=3, stride=2, bias=False), {"type": "ReLU"}, max_pool(kernel_size=2), flatten)
    add("conv2d relu max_pool2d groups", (8, 8, 4),
        conv(out_channels=6, kernel_size=3, padding=1, groups=2), {"type": "ReLU"}, max_pool(kernel_size=2), flatten)
    add("conv2d relu max_pool2d 3", (8, 8, 3),
        conv(out_channels=4, kernel_size=3, padding=1), {"type": "ReLU"}, max_pool(kernel_size=3, stride=2), flatten)

    def avg_pool(**keys):
        return {"type": "AvgPool2d", **keys}

    add("avg_pool2d 2", (6, 7, 3), avg_pool(kernel_size=2), flatten)
    add("avg_pool2d 3 stride 2 padding 1 counts the padding", (7, 8, 2), avg_pool(kernel_size=3, stride=2, padding=1), flatten)
    add("avg_pool2d overlapping windows", (5, 6, 3), avg_pool(kernel_size=3, stride=1, padding=1), flatten)
    add("avg_pool2d asymmetric", (7, 9, 2), avg_pool(kernel_size=[2, 3], stride=[1, 2], padding=[1, 0]), flatten)
    add("adaptive_avg_pool2d 1", (5, 7, 4), {"type": "AdaptiveAvgPool2d", "output_size": 1}, flatten)

    add("linear", (1, 1, 9), flatten, linear("fc", 5))
    add("linear without bias", (1, 1, 9), flatten, {**linear("fc", 4), "bias": False})
    add("linear 33 to 17", (1, 1, 33), flatten, linear("fc", 17))
    add("linear batch of one", (1, 1, 16), flatten, linear("fc", 8), batch=1)
    add("linear batch of five to one output", (1, 1, 20), flatten, linear("fc", 1), batch=5)
    add("flatten linear takes columns in the order C, H, W", (3, 4, 5), flatten, linear("fc", 6))
    add("flatten linear relu linear", (3, 2, 4), flatten, linear("fc1", 7), {"type": "ReLU"}, linear("fc2", 3))
    add("conv2d max_pool2d flatten linear", (6, 7, 2), conv(out_channels=3, kernel_size=3, padding=1),
        {"type": "ReLU"}, max_pool(kernel_size=2), flatten, linear("fc", 4))
    add("dropout does nothing in evaluation", (3, 3, 2), flatten, {"type": "Dropout", "p": 0.5}, linear("fc", 3), evaluate=True)

    add("sigmoid between layers", (1, 1, 8), flatten, linear("fc1", 6), {"type": "Sigmoid"}, linear("fc2", 3), scale=4)
    add("sigmoid on an image", (3, 4, 2), {"type": "Sigmoid"}, flatten, scale=6)
    add("softmax between layers", (1, 1, 8), flatten, linear("fc1", 6), {"type": "Softmax"}, linear("fc2", 3), scale=4)
    add("relu6", (4, 5, 3), {"type": "ReLU6"}, flatten, scale=9)
    add("silu", (4, 5, 3), {"type": "SiLU"}, flatten, scale=5)
    add("hardswish", (4, 5, 3), {"type": "Hardswish"}, flatten, scale=5)
    add("normalize", (4, 5, 3), {"type": "Normalize", "mean": [0.5, 0.25, -1], "std": [0.5, 2, 3]}, flatten)
    for stride in (1, 2, 3):
        for size in ((7, 6), (8, 5)):
            add(f"conv2d padding same stride {stride} input {size[0]}x{size[1]}", (*size, 3),
                conv(out_channels=4, kernel_size=3, stride=stride, padding="same"), flatten)
    add("conv2d padding same, even kernel, dilation 2", (7, 8, 2),
        conv(out_channels=3, kernel_size=[2, 4], dilation=2, padding="same"), flatten)
    add("depthwise conv2d padding same stride 2", (6, 7, 5),
        conv(out_channels=5, kernel_size=3, stride=2, padding="same", groups=5), flatten)

    def norm(name="bn", **keys):
        return {"type": "BatchNorm2d", "name": name, **keys}

    add("batch_norm2d", (4, 5, 3), norm(), flatten, batch=3, scale=2, shift=1)
    add("batch_norm2d eps and momentum", (3, 3, 4), norm(eps=0.1, momentum=0.3), flatten, batch=2)
    add("batch_norm2d without affine", (3, 4, 5), norm(affine=False), flatten, batch=2)
    add("batch_norm2d on flat features", (1, 1, 6), norm(), flatten, batch=7)
    add("conv2d batch_norm2d relu", (6, 5, 3), conv(out_channels=4, kernel_size=3, padding=1, bias=False), norm(),
        {"type": "ReLU"}, flatten, batch=3)
    add("conv2d batch_norm2d relu6", (6, 5, 3), conv(out_channels=4, kernel_size=3, stride=2, padding=1, bias=False), norm(),
        {"type": "ReLU6"}, flatten, linear("fc", 4), batch=3)

    def residual(body, shortcut=None, name="res"):
        return {"type": "Residual", "name": name, "body": body, **({"shortcut": shortcut} if shortcut else {})}

    add("residual", (5, 4, 3), residual([conv(out_channels=3, kernel_size=3, padding=1), {"type": "ReLU"},
                                         conv("conv2", out_channels=3, kernel_size=3, padding=1)]), flatten)
    add("residual with shortcut and batch_norm2d", (6, 5, 3),
        residual([conv(out_channels=4, kernel_size=3, stride=2, padding=1, bias=False), norm(), {"type": "ReLU"},
                  conv("conv2", out_channels=4, kernel_size=3, padding=1, bias=False), norm("bn2")],
                 [{"type": "Conv2d", "out_channels": 4, "kernel_size": 1, "stride": 2, "bias": False}, {"type": "BatchNorm2d"}]),
        {"type": "ReLU"}, flatten, batch=3)
    add("residual of an inverted bottleneck", (6, 6, 4),
        residual([conv("expand", out_channels=8, kernel_size=1), {"type": "ReLU6"},
                  conv("dw", out_channels=8, kernel_size=3, padding="same", groups=8), {"type": "ReLU6"},
                  conv("project", out_channels=4, kernel_size=1)]), flatten, scale=3)
    add("residual in a residual, a sequence that ends in relu", (4, 4, 3),
        residual([residual([conv(out_channels=3, kernel_size=3, padding=1), {"type": "ReLU"}], name="inner"),
                  conv("conv2", out_channels=3, kernel_size=1), {"type": "SiLU"}]), flatten)

    add("final sigmoid", (1, 1, 8), flatten, linear("fc", 1), {"type": "Sigmoid"}, batch=4, scale=4)
    add("final softmax", (1, 1, 8), flatten, linear("fc", 5), {"type": "Softmax"}, batch=4, scale=4)

    excite = {"type": "SqueezeExcite", "name": "se", "squeeze_channels": 3}
    add("squeeze_excite", (4, 5, 6), excite, flatten, batch=3, scale=3)
    add("residual that ends in relu and squeeze_excite", (5, 4, 4),
        residual([conv(out_channels=4, kernel_size=3, padding=1), {"type": "ReLU"}, excite]), flatten, linear("fc", 3))

    def both_views(*body):
        return {"type": "HorizontalFlipTTA", "name": "views", "body": list(body)}

    uneven = conv(out_channels=4, kernel_size=[3, 2], stride=[1, 2])
    add("horizontal_flip_tta", (5, 7, 3), both_views(uneven, {"type": "SiLU"}), flatten, linear("fc", 3))
    add("horizontal_flip_tta of batch_norm2d and a residual", (5, 6, 3),
        both_views({**uneven, "bias": False}, norm(), {"type": "ReLU"}, residual([conv("inner", out_channels=4, kernel_size=1)])),
        {"type": "AdaptiveAvgPool2d", "output_size": 1}, flatten, linear("fc", 3), batch=3)
    add("horizontal_flip_tta up to a linear", (4, 5, 2), both_views(uneven, flatten, linear("fc", 3)), {"type": "Softmax"}, batch=3)
    return cases


class SameConv2d(nn.Conv2d):
    """Conv2d with TensorFlow's SAME padding for any stride; PyTorch has it for stride 1."""

    def forward(self, x):
        around = []
        for size, kernel, stride, dilation in zip(reversed(x.shape[2:]), *map(reversed, (self.kernel_size, self.stride, self.dilation))):
            total = max(0, (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
            around += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, around))


class Normalize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (mean, std))

    def forward(self, x):
        return ((x - self.mean) / self.std).to(x.dtype)


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body = nn.Sequential(body)
        if shortcut:
            self.shortcut = nn.Sequential(shortcut)

    def forward(self, x):
        return self.body(x) + (self.shortcut(x) if hasattr(self, "shortcut") else x)


class SqueezeExcite(nn.Module):
    """torchvision.ops.SqueezeExcitation, which needs no torchvision here."""

    def __init__(self, input_channels, squeeze_channels):
        super().__init__()
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(functional.relu(self.fc1(functional.adaptive_avg_pool2d(x, 1)))))


class HorizontalFlipTTA(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = nn.Sequential(body)

    def forward(self, x):
        y = self.body(x)
        if self.training:
            return y
        mirrored = self.body(x.flip(3))
        return (y + (mirrored.flip(3) if mirrored.dim() == 4 else mirrored)) / 2


def torch_modules(spec):
    """The spec as PyTorch modules, in order, with their names."""
    height, width, channels = spec["input"]
    return modules_of(spec["layers"], torch.zeros(1, channels, height, width), lambda kind, index: f"{kind} {index}")


def modules_of(layers, x, name_of=lambda kind, index: str(index)):
    modules = OrderedDict()

    def pair(value):
        return tuple(value) if isinstance(value, list) else value

    for index, layer in enumerate(layers):
        keys = {key: pair(value) for key, value in layer.items() if key not in ("type", "name")}
        kind = layer["type"]
        if kind == "Conv2d" and keys.get("padding") == "same":
            del keys["padding"]
            module = SameConv2d(x.shape[1], **keys)
        elif kind == "BatchNorm2d":
            module = nn.BatchNorm2d(x.shape[1], **keys).eval()
        elif kind == "Normalize":
            module = Normalize(layer["mean"], layer["std"])
        elif kind == "Residual":
            module = Residual(modules_of(layer["body"], x), modules_of(layer.get("shortcut", []), x))
        elif kind == "SqueezeExcite":
            module = SqueezeExcite(x.shape[1], **keys)
        elif kind == "HorizontalFlipTTA":
            module = HorizontalFlipTTA(modules_of(layer["body"], x))
        elif kind == "Conv2d":
            module = nn.Conv2d(x.shape[1], **keys)
        elif kind == "Linear":
            module = nn.Linear(x.shape[1], **keys)
        elif kind == "Softmax":
            module = nn.Softmax(dim=1)
        else:
            module = getattr(nn, kind)(**keys)
        modules[layer.get("name", name_of(kind, index))] = module
        x = module(x)
    return modules


def scaled_state(shapes, seed, stream):
    """PyTorch's initial bound, 1 / sqrt(fan_in), times uniform(-1, 1); stream `stream + i` for tensor i of the state_dict."""
    state = OrderedDict()
    for i, (name, shape) in enumerate(shapes.items()):
        if name.endswith("num_batches_tracked"):
            state[name] = np.zeros(shape, np.float32)
            continue
        if name.endswith(("running_mean", "running_var")):
            state[name] = signed(seed, stream + i, shape) + np.float32(1.5 if name.endswith("var") else 0)
            continue
        fan_in = math.prod(shapes[name.rsplit(".", 1)[0] + ".weight"][1:])
        state[name] = signed(seed, stream + i, shape, 1 / math.sqrt(fan_in))
    return state


def run_layer_case(modules, final, x, dy, dtype, evaluate):
    """Everything a test compares, computed in `dtype`; images as NHWC. y is what comes before a final Sigmoid or Softmax."""
    network = nn.Sequential(modules).to(dtype)
    network.zero_grad(set_to_none=True)
    network.train(not evaluate)
    x = torch.from_numpy(x).to(dtype).permute(0, 3, 1, 2).requires_grad_()
    y, flat_from = x, None
    before = copy.deepcopy(network.state_dict())
    for module in modules.values():
        if module is final:
            break
        if isinstance(module, nn.Flatten):
            flat_from = y
        last = module
        y = module(y)
    # After a last Flatten the core holds the values as h, w, c; PyTorch as c, h, w.
    trailing_flatten = isinstance(last, nn.Flatten)
    shown = flat_from.permute(0, 2, 3, 1).flatten(1) if trailing_flatten else y
    out = {"y": shown}
    if final is not None:
        p = final(y)
        out["probabilities"] = torch.cat([1 - p, p], dim=1) if p.shape[1] == 1 else p
    if not evaluate:
        shown.backward(torch.from_numpy(dy).to(dtype))
        out["dx"] = x.grad.permute(0, 2, 3, 1)
        for name, parameter in network.named_parameters():
            out[f"grad/{name}"] = parameter.grad
        for name, buffer in network.named_buffers():
            out[f"after/{name}"] = buffer.clone()
    network.load_state_dict(before)
    return {name: value.detach().double().numpy() for name, value in out.items()}


def make_layers():
    tensors, listed = {}, []
    for index, (name, (input_shape, layers, options)) in enumerate(layer_cases().items()):
        spec = {"format": "pinhole/1", "name": name, "input": input_shape, "layers": layers}
        batch, seed = options.get("batch", 2), 1000 + index
        modules = torch_modules(spec)
        shapes = {key: tuple(value.shape) for key, value in nn.Sequential(modules).state_dict().items()}
        state = scaled_state(shapes, seed, 10)
        nn.Sequential(modules).load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
        final = list(modules.values())[-1]
        final = final if isinstance(final, (nn.Sigmoid, nn.Softmax)) else None
        x = (signed(seed, 0, (batch, *input_shape), options.get("scale", 1)) + np.float32(options.get("shift", 0))).astype(np.float32)
        evaluate = options.get("evaluate", False)
        in_evaluation = run_layer_case(modules, final, x, None, torch.float64, True)
        dy = signed(seed, 1, (batch, in_evaluation["y"].shape[1]))
        wide = run_layer_case(modules, final, x, dy, torch.float64, evaluate)
        narrow = run_layer_case(modules, final, x, dy, torch.float32, evaluate)
        if not np.array_equal(in_evaluation["y"], wide["y"]):
            tensors[f"{index:02}/y_eval"] = in_evaluation["y"].astype(np.float32)
        if final is not None:
            wide["probabilities"] = narrow["probabilities"] = in_evaluation["probabilities"]
        for key, value in wide.items():
            # A case next to a kink (a ReLU at 0, a tie in a maximum) would differ here and make an unfair test.
            error = np.abs(value - narrow[key]).max() / max(np.abs(value).max(), 1e-30)
            assert error < 2e-6, f"{name}: {key} differs by {error} between float32 and float64"
            tensors[f"{index:02}/{key}"] = value.astype(np.float32)
        tensors[f"{index:02}/x"] = x
        tensors[f"{index:02}/dy"] = dy
        for key, value in state.items():
            tensors[f"{index:02}/state/{key}"] = value
        listed.append({"key": f"{index:02}", "evaluate": evaluate, "spec": spec})
    return tensors, {"cases": json.dumps(listed)}


# --- losses ------------------------------------------------------------------------------------------------------------


def make_losses():
    tensors, listed = {}, []

    def add(name, kind, logits, labels):
        key = f"{len(listed):02}"
        logits = np.asarray(logits, np.float32)
        x = torch.from_numpy(logits).double().requires_grad_()
        target = torch.tensor(labels)
        if kind == "cross_entropy":
            value = functional.cross_entropy(x, target)
        else:
            value = functional.binary_cross_entropy_with_logits(x, target.double().unsqueeze(1))
        value.backward()
        tensors[f"{key}/logits"] = logits
        tensors[f"{key}/value"] = np.float32(value.item()).reshape(1)
        tensors[f"{key}/dlogits"] = x.grad.numpy().astype(np.float32)
        listed.append({"key": key, "name": name, "kind": kind, "labels": list(labels)})

    ce, bce = "cross_entropy", "binary_cross_entropy_with_logits"
    add("seven images of five classes", ce, signed(1, 0, (7, 5), 3), [0, 4, 2, 2, 1, 3, 0])
    add("one image of two classes", ce, signed(1, 1, (1, 2)), [1])
    add("all logits equal", ce, np.zeros((2, 10)), [3, 9])
    add("extreme logits, right", ce, [[80, -80, 0], [-80, 80, 0]], [0, 1])
    add("extreme logits, wrong", ce, [[80, -80, 0], [-80, 80, 0]], [1, 2])
    add("logits far from zero with a small difference", ce, [[1000, 1001, 999.5], [-1000, -1001, -999.5]], [0, 2])
    add("a hundred classes", ce, signed(1, 2, (3, 100), 5), [99, 0, 50])
    add("six images", bce, signed(1, 3, (6, 1), 4), [0, 1, 1, 0, 1, 0])
    add("one image at zero", bce, [[0]], [1])
    add("extreme logits, right", bce, [[80], [-80]], [1, 0])
    add("extreme logits, wrong", bce, [[80], [-80]], [0, 1])
    add("extreme and ordinary logits together", bce, [[80], [-80], [0.5], [-1.5], [80], [-80]], [1, 0, 1, 1, 0, 1])
    return tensors, {"cases": json.dumps(listed)}


# --- optimizers --------------------------------------------------------------------------------------------------------

OPTIMIZER_STEPS = 10


def make_optimizers():
    cases = [
        ("plain SGD", {"name": "sgd", "lr": 0.1, "momentum": 0}),
        ("SGD with weight decay", {"name": "sgd", "lr": 0.1, "momentum": 0, "weight_decay": 0.05}),
        ("SGD with momentum", {"name": "sgd", "lr": 0.05, "momentum": 0.9}),
        ("SGD with Nesterov momentum", {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True}),
        ("SGD with momentum and weight decay", {"name": "sgd", "lr": 0.05, "momentum": 0.8, "weight_decay": 0.1}),
        ("SGD with Nesterov momentum and weight decay",
         {"name": "sgd", "lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
        ("Adam", {"name": "adam", "lr": 0.01}),
        ("Adam with weight decay", {"name": "adam", "lr": 0.01, "weight_decay": 0.1}),
        ("Adam with other betas and eps", {"name": "adam", "lr": 0.01, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3}),
        ("AdamW without weight decay", {"name": "adamw", "lr": 0.01}),
        ("AdamW with weight decay", {"name": "adamw", "lr": 0.01, "weight_decay": 0.1}),
    ]
    shapes = [(3, 5), (37,)]
    tensors, listed = {}, []
    for p, shape in enumerate(shapes):
        tensors[f"value{p}"] = signed(2, p, shape)
        grads = signed(2, 10 + p, (OPTIMIZER_STEPS, *shape))
        flat = grads.reshape(OPTIMIZER_STEPS, -1)
        flat[:, 0] = 0  # never moved by a gradient
        flat[:, 1] *= 1e-9  # about Adam's eps
        flat[:, 2] *= 10
        flat[3:, 3] = 0  # stops
        tensors[f"grads{p}"] = grads
    for name, options in cases:
        key = f"{len(listed):02}"
        parameters = [nn.Parameter(torch.from_numpy(tensors[f"value{p}"]).double()) for p in range(len(shapes))]
        keys = {"lr": options["lr"], "weight_decay": options.get("weight_decay", 0)}
        if options["name"] == "sgd":
            keys.update(momentum=options["momentum"], nesterov=options.get("nesterov", False))
            optimizer = torch.optim.SGD(parameters, **keys)
        else:
            keys.update(betas=(options.get("beta1", 0.9), options.get("beta2", 0.999)), eps=options.get("eps", 1e-8))
            optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options["name"]](parameters, **keys)
        values = [[], []]
        for step in range(OPTIMIZER_STEPS):
            if step == 7:  # as a scheduler does
                for group in optimizer.param_groups:
                    group["lr"] = options["lr"] / 2
            for p, parameter in enumerate(parameters):
                parameter.grad = torch.from_numpy(tensors[f"grads{p}"][step]).double()
            optimizer.step()
            for p, parameter in enumerate(parameters):
                values[p].append(parameter.detach().numpy().copy())
        for p in range(len(shapes)):
            tensors[f"{key}/values{p}"] = np.stack(values[p]).astype(np.float32)
        listed.append({"key": key, "name": name, "options": options})
    return tensors, {"cases": json.dumps(listed), "steps": str(OPTIMIZER_STEPS), "halve_lr_before_step": "8"}


# --- loss curves -------------------------------------------------------------------------------------------------------

CURVE_STEPS = 20
CURVE_BATCH = 8
CURVE_IMAGES = 44  # 5 batches of 8 and one of 4: three epochs and two steps


def curve_images(seed, height, width, channels, classes):
    """uint8 [n, h, w, c] and labels: noise in 0..127, and in the bands of rows that belong to the image's class 96 more."""
    labels = np.array([int(value) % classes for value in hashes(seed, 100, CURVE_IMAGES)])
    band = max(1, height // (2 * classes))
    rows = np.arange(height) // band % classes
    images = []
    for i, label in enumerate(labels):
        noise = (hashes(seed, 200 + i, height * width * channels) & np.uint64(127)).astype(np.int64)
        bright = np.where(rows == label, 96, 0).reshape(height, 1, 1)
        images.append((noise.reshape(height, width, channels) + bright).astype(np.uint8))
    return np.stack(images), labels


def train_curve(network, images, labels, state, options, dtype):
    network.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    network.to(dtype)
    if options["name"] == "sgd":
        optimizer = torch.optim.SGD(network.parameters(), lr=options["lr"], momentum=options["momentum"])
    else:
        optimizer = torch.optim.Adam(network.parameters(), lr=options["lr"])
    # ToTensor divides in float32.
    x_all = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).to(dtype)
    y_all = torch.from_numpy(labels)

    def loss_of(logits, target):
        if logits.shape[1] == 1:
            return functional.binary_cross_entropy_with_logits(logits, target.to(dtype).unsqueeze(1))
        return functional.cross_entropy(logits, target)

    def right(logits, target):
        predicted = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)
        return (predicted == target).sum().item()

    losses, correct, at = [], [], 0
    for _ in range(CURVE_STEPS):
        batch = slice(at, min(at + CURVE_BATCH, CURVE_IMAGES))
        at = batch.stop % CURVE_IMAGES
        optimizer.zero_grad()
        logits = network.logits(x_all[batch])
        loss = loss_of(logits, y_all[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        correct.append(right(logits, y_all[batch]))
    with torch.no_grad():
        logits = network.logits(x_all)
        final = loss_of(logits, y_all).item()
        margin = logits.abs().min() if logits.shape[1] == 1 else (logits.topk(2).values @ torch.tensor([1.0, -1]).to(dtype)).min()
        final_correct = right(logits, y_all)
    weight = network.conv1.weight.detach().double().numpy()
    return {"losses": np.array(losses), "correct": np.array(correct), "evaluation_loss": np.array([final]),
            "evaluation_correct": np.array([final_correct]), "conv1.weight": weight}, float(margin)


def make_curves():
    networks = [
        ("BinaryCNN", "models/binary_cnn.json", 2, (224, 224, 3), lesson_networks.BinaryCNN, 3e-5, 3e-6),
        ("MultiClassCNN", "models/multiclass_cnn.json", 3, (224, 224, 3), lambda: lesson_networks.MultiClassCNN(3), 4e-5, 5e-6),
        ("FashionCNN", "models/fashion_cnn.json", 10, (28, 28, 1), lambda: lesson_networks.FashionCNN(10), 8e-2, 1e-3),
    ]
    tensors, listed = {}, []
    for name, spec, classes, shape, make, sgd_lr, adam_lr in networks:
        seed = 3000 + classes
        images, labels = curve_images(seed, *shape, classes)
        shapes = {key: tuple(value.shape) for key, value in make().state_dict().items()}
        state = scaled_state(shapes, seed, 0)
        for options in ({"name": "sgd", "lr": sgd_lr, "momentum": 0.9}, {"name": "adam", "lr": adam_lr}):
            key = f"{len(listed):02}"
            wide, margin = train_curve(make(), images, labels, state, options, torch.float64)
            narrow, _ = train_curve(make(), images, labels, state, options, torch.float32)
            difference = np.abs(wide["losses"] / narrow["losses"] - 1).max()
            # The test allows 1e-4; a curve whose float32 rounding alone comes near that would be chaos, not a test.
            print(f"{name} {options['name']}: loss {wide['losses'][0]:.4f} -> {wide['losses'][-1]:.4f}, "
                  f"float32 differs from float64 by {difference:.1e} relative, "
                  f"evaluation {wide['evaluation_loss'][0]:.4f}, {wide['evaluation_correct'][0]}/{CURVE_IMAGES} right, "
                  f"smallest margin {margin:.1e}")
            assert difference < 1e-5, f"{name} {options['name']}: choose a smaller lr"
            assert margin > 1e-4
            assert (wide["correct"] == narrow["correct"]).all()
            for field, value in wide.items():
                tensors[f"{key}/{field}"] = value.astype(np.float32)
            tensors[f"{key}/float32_difference"] = np.float32(difference).reshape(1)
            listed.append({"key": key, "name": name, "spec": spec, "classes": classes, "seed": seed, "options": options,
                           "state": [{"name": n, "shape": list(s)} for n, s in shapes.items()]})
    metadata = {"cases": json.dumps(listed), "steps": str(CURVE_STEPS), "batch_size": str(CURVE_BATCH),
                "images": str(CURVE_IMAGES)}
    return tensors, metadata


# -----------------------------------------------------------------------------------------------------------------------


def differences(made, metadata, path):
    """What differs between a golden file and what was made now; float32 values by more than rounding on another machine."""
    if not path.exists():
        return ["there is no such file"]
    stored, stored_metadata = safetensors_io.load_file(path)
    found = [f"metadata {key} differs" for key in sorted(metadata.keys() | stored_metadata.keys())
             if metadata.get(key) != stored_metadata.get(key)]
    for name in sorted(made.keys() | stored.keys()):
        if name not in made or name not in stored:
            found.append(f"{name} is in {'the file' if name in stored else 'the new goldens'} only")
        elif made[name].shape != stored[name].shape:
            found.append(f"{name} has shape {made[name].shape}, the file {stored[name].shape}")
        elif not name.endswith("/float32_difference"):  # rounding itself, other on every machine; bounded where it is made
            error = np.abs(made[name].astype(np.float64) - stored[name]).max()
            if not error <= 1e-6 * max(1.0, np.abs(stored[name]).max()):
                found.append(f"{name} differs by {error}")
    return found


def main():
    parser = argparse.ArgumentParser(description="Makes the golden files of tests/golden with PyTorch.")
    parser.add_argument("--check", action="store_true", help="compare with the files that are there, write nothing")
    makers = {"layers": make_layers, "losses": make_losses, "optimizers": make_optimizers, "loss_curves": make_curves}
    parser.add_argument("--only", nargs="+", choices=list(makers), default=list(makers), help="these files")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    failed = False
    with np.errstate(over="ignore"):  # the hash wraps around
        for name, make in makers.items():
            if name not in arguments.only:
                continue
            tensors, metadata = make()
            path = HERE / f"{name}.safetensors"
            if arguments.check:
                found = differences(tensors, metadata, path)
                failed = failed or bool(found)
                print(f"{path.name}: " + ("same" if not found else "; ".join(found)))
            else:
                safetensors_io.save_file(tensors, path, metadata)
                print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size / 1000:.0f} KB")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
