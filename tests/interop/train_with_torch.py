#!/usr/bin/env python3
# Trains a spec with its recipe in PyTorch, from the same first weights, in the same order and with the same augmentation as native_train
# with that seed, so that both can be compared step by step and by what they reach. with_torch.sh starts it.
#   train_with_torch.py --data DIR-WITH-IDX-FILES --model fashion_small [--seed 0] [--epochs N] [--log FILE.jsonl]
#   train_with_torch.py --model fashion_small --compare native_train     a short training of both, whose losses have to agree
import argparse
import copy
import gzip
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from torch import nn
from torch.optim import lr_scheduler

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "golden"))
import safetensors_io  # noqa: E402

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")


def mix64(z):
    """core/rng.h, for arrays of uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Rng:
    """core/rng.h; with an array of streams it is as many generators side by side."""

    def __init__(self, seed, stream):
        seed, stream = np.asarray(seed, np.uint64), np.asarray(stream, np.uint64)
        self.key = mix64(seed + np.uint64(0x9E3779B97F4A7C15)) ^ mix64(stream * np.uint64(0xD1342543DE82EF95) + np.uint64(1))
        self.counter = 0

    def next(self, count=None):
        counters = np.uint64(self.counter) if count is None else np.arange(self.counter, self.counter + count, dtype=np.uint64)
        self.counter += count or 1
        return mix64(self.key + counters * np.uint64(0x9E3779B97F4A7C15))

    def uniform(self, count=None):
        return (self.next(count) >> np.uint64(40)).astype(np.float64) * 2.0**-24

    def below(self, bound):
        return (((self.next() >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)

    def alone(self, index):
        """One of many side by side, which goes on by itself."""
        one = copy.copy(self)
        one.key = self.key[index]
        return one


def only_keys(what, value, known):
    unknown = set(value) - set(known)
    if unknown:
        sys.exit(f"{what} has {', '.join(sorted(unknown))}, which this script does not do")


# ---- the network


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + (x if self.shortcut is None else self.shortcut(x))


class HorizontalFlipTTA(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        y = self.body(x)
        return y if self.training else (y + self.body(x.flip(3)).flip(3)) / 2


class SqueezeExcite(nn.Module):
    def __init__(self, gate):
        super().__init__()
        self.fc1, self.fc2 = gate

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


def draw(rng, shape, fan_in):
    bound = 1 / math.sqrt(fan_in)
    return torch.from_numpy((bound * (2 * rng.uniform(math.prod(shape)) - 1)).astype(np.float32).reshape(shape))


def make_layer(spec, shape, classes, rng):
    """The layer with Pinhole's first weights, and the shape (channels, height, width) that it gives."""
    spec = {key: value for key, value in spec.items() if key != "name"}
    kind = spec.pop("type")
    channels, height, width = shape
    if kind == "Conv2d":
        only_keys(kind, spec, {"out_channels", "kernel_size", "stride", "padding", "groups", "bias"})
        layer = nn.Conv2d(channels, **spec)
        rows, columns = layer.kernel_size
        fan_in = channels // layer.groups * rows * columns
        with torch.no_grad():  # the core's weights are [oc, kh, kw, ic]
            weight = draw(rng, (layer.out_channels, rows, columns, channels // layer.groups), fan_in)
            layer.weight.copy_(weight.permute(0, 3, 1, 2))
            if layer.bias is not None:
                layer.bias.copy_(draw(rng, (layer.out_channels,), fan_in))
        size = [(n + 2 * p - k) // s + 1
                for n, p, k, s in zip((height, width), layer.padding, layer.kernel_size, layer.stride)]
        return layer, (layer.out_channels, *size)
    if kind == "BatchNorm2d":
        return nn.BatchNorm2d(channels, **spec), shape
    if kind == "ReLU":
        return nn.ReLU(), shape
    if kind == "MaxPool2d":
        only_keys(kind, spec, {"kernel_size", "stride"})
        layer = nn.MaxPool2d(**spec)
        return layer, (channels, (height - layer.kernel_size) // layer.stride + 1, (width - layer.kernel_size) // layer.stride + 1)
    if kind == "AdaptiveAvgPool2d":
        return nn.AdaptiveAvgPool2d(spec["output_size"]), (channels, spec["output_size"], spec["output_size"])
    if kind == "Flatten":
        return nn.Flatten(), shape  # what comes after needs to know the order of the values
    if kind == "Linear":
        outputs = classes if spec["out_features"] == "classes" else spec["out_features"]
        inputs = channels * height * width
        layer = nn.Linear(inputs, outputs)
        with torch.no_grad():  # the core's columns are in the order h, w, c
            weight = draw(rng, (outputs, height, width, channels), inputs)
            layer.weight.copy_(weight.permute(0, 3, 1, 2).reshape(outputs, inputs))
            layer.bias.copy_(draw(rng, (outputs,), inputs))
        return layer, (outputs, 1, 1)
    if kind == "Residual":
        body, out = make_chain(spec["body"], shape, classes, rng)
        shortcut = make_chain(spec["shortcut"], shape, classes, rng)[0] if spec.get("shortcut") else None
        return Residual(body, shortcut), out
    if kind == "HorizontalFlipTTA":
        body, out = make_chain(spec["body"], shape, classes, rng)
        return HorizontalFlipTTA(body), out
    if kind == "SqueezeExcite":
        only_keys(kind, spec, {"squeeze_channels"})
        gate, _ = make_chain([{"type": "Conv2d", "out_channels": outputs, "kernel_size": 1} for outputs in (spec["squeeze_channels"], channels)],
                             (channels, 1, 1), classes, rng)
        return SqueezeExcite(gate), shape
    sys.exit(f"a {kind} is not one of the layers that this script knows")


def make_chain(layers, shape, classes, rng):
    chain = nn.Sequential()
    for index, spec in enumerate(layers):
        layer, shape = make_layer(spec, shape, classes, rng)
        chain.add_module(spec.get("name", str(index)), layer)
    return chain, shape


def make_network(spec, classes, seed):
    layers = spec["layers"]
    if layers[-1]["type"] == "Softmax":
        layers = layers[:-1]  # the loss has it
    height, width, channels = spec["input"]
    return make_chain(layers, (channels, height, width), classes, Rng(seed, 1))[0]


# ---- the recipe


def make_optimizer(network, recipe):
    options = {"name": "adam", "lr": 0.001, "weight_decay": 0, "momentum": 0.9, "nesterov": False, "beta1": 0.9, "beta2": 0.999,
               "eps": 1e-8, **recipe.get("optimizer", {})}
    common = {"lr": options["lr"], "weight_decay": options["weight_decay"]}
    if options["name"] == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=options["momentum"], nesterov=options["nesterov"], **common)
    kind = torch.optim.AdamW if options["name"] == "adamw" else torch.optim.Adam
    return kind(network.parameters(), betas=(options["beta1"], options["beta2"]), eps=options["eps"], **common)


def make_scheduler(optimizer, recipe, steps_per_epoch, epochs):
    schedule = dict(recipe.get("schedule", {"type": "constant"}))
    kind, total = schedule["type"], steps_per_epoch * epochs
    if kind == "one_cycle":
        rates = {key: schedule[key] for key in ("pct_start", "div_factor", "final_div_factor") if key in schedule}
        return lr_scheduler.OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=total, cycle_momentum=False,
                                       **rates)
    warmup = math.floor(schedule.get("warmup_epochs", 0) * steps_per_epoch + 0.5)
    if kind == "step":
        main = lr_scheduler.StepLR(optimizer, schedule["step_size"] * steps_per_epoch, schedule["gamma"])
    elif kind == "cosine":
        main = lr_scheduler.CosineAnnealingLR(optimizer, max(total - warmup, 1), schedule.get("eta_min", 0))
    else:
        main = lr_scheduler.ConstantLR(optimizer, 1, 1)
    if warmup == 0:
        return main
    rise = lr_scheduler.LinearLR(optimizer, schedule.get("warmup_start", 1 / 3), 1.0, warmup)
    return lr_scheduler.SequentialLR(optimizer, [rise, main], [warmup])


def shuffled(count, seed, epoch):
    rng = Rng(mix64(np.uint64(seed)) + np.uint64(epoch), 2)
    draws = rng.next(count - 1) >> np.uint64(32)
    order = list(range(count))
    for i, draw in zip(range(count, 1, -1), draws.tolist()):
        j = draw * i >> 32
        order[i - 1], order[j] = order[j], order[i - 1]
    return np.array(order)


def erase(image, rng, transform):
    """RandomErasing of one image, in place."""
    only_keys("RandomErasing", transform, {"type", "p", "scale", "ratio"})
    if rng.uniform() >= transform.get("p", 0.5):
        return
    height, width, _ = image.shape
    least, most = transform.get("scale", (0.02, 0.33))
    log_least, log_most = (math.log(ratio) for ratio in transform.get("ratio", (0.3, 3.3)))
    for _ in range(10):
        target = height * width * (least + (most - least) * rng.uniform())
        ratio = math.exp(log_least + (log_most - log_least) * rng.uniform())
        h, w = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if h < height and w < width:
            top, left = rng.below(height - h + 1), rng.below(width - w + 1)
            image[top : top + h, left : left + w] = 0
            return


def augmented(images, indices, transforms, seed, epoch):
    """uint8 [n, h, w, c] as core/augment.cpp changes them."""
    images = images.copy()
    count, height, width, _ = images.shape
    rng = Rng(mix64(np.uint64(seed)) + np.uint64(epoch), np.uint64(0x6175676D656E74) + indices.astype(np.uint64))
    for transform in transforms:
        if transform["type"] == "RandomHorizontalFlip":
            flip = rng.uniform() < transform.get("p", 0.5)
            images[flip] = images[flip, :, ::-1]
        elif transform["type"] == "RandomCrop" and transform.get("padding_mode", "constant") == "constant":
            padding = transform.get("padding", 4)
            top, left = rng.below(2 * padding + 1), rng.below(2 * padding + 1)
            sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))
            padded = np.pad(images, sides, constant_values=transform.get("fill", 0))
            for i in range(count):
                images[i] = padded[i, top[i] : top[i] + height, left[i] : left[i] + width]
        elif transform["type"] == "RandomErasing" and transform is transforms[-1]:  # each image draws as often as it needs to
            for i in range(count):
                erase(images[i], rng.alone(i), transform)
        else:
            sys.exit(f"{transform} is not one of the transforms that this script knows")
    return images


def as_batch(images):
    """[n, c, h, w], stored like that too. Of one channel the permuted batch is taken for channels_last, and PyTorch 1.13's BatchNorm2d adds
    that up with a thousand times the rounding: 4e-5 of its output in fashion_small, 1e-3 of the gradients."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format).float() / 255


def read_idx(folder, part):
    """uint8 images [n, h, w, 1] and labels; None when the part is not there."""
    def read(name):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return None

    images, labels = read(f"{part}-images-idx3-ubyte"), read(f"{part}-labels-idx1-ubyte")
    if images is None or labels is None:
        return None
    count, height, width = (int.from_bytes(images[at : at + 4], "big") for at in (4, 8, 12))
    return (np.frombuffer(images, np.uint8, offset=16).reshape(count, height, width, 1),
            np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))


def accuracy(network, images, labels):
    network.eval()
    right = 0
    with torch.no_grad():
        for begin in range(0, len(labels), 500):
            predicted = network(as_batch(images[begin : begin + 500])).argmax(1).numpy()
            right += int((predicted == labels[begin : begin + 500]).sum())
    return right / len(labels)


def train(spec, recipe, images, labels, seed, epochs, test=None, log=None, dtype=torch.float32, moved=0):
    """Returns the losses of all steps and the network. `moved` is the part by which the first weights are apart from Pinhole's."""
    only_keys("the recipe", recipe, {"epochs", "batch_size", "optimizer", "schedule", "label_smoothing", "augment", "clip_grad_norm"})
    torch.manual_seed(seed)
    classes = int(labels.max()) + 1
    network = make_network(spec, classes, seed).to(dtype)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1 + moved * torch.randn_like(parameter))
    batch = recipe.get("batch_size", 32)
    count = len(labels)
    has_norm = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    joined = has_norm and batch > 1 and count > 1 and count % batch == 1  # a single image that is left over joins the batch before it
    begins = list(range(0, count - (1 if joined else 0), batch))
    optimizer = make_optimizer(network, recipe)
    scheduler = make_scheduler(optimizer, recipe, len(begins), epochs)
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.get("label_smoothing", 0))
    losses = []
    for epoch in range(1, epochs + 1):
        network.train()
        order = shuffled(count, seed, epoch)
        for begin, end in zip(begins, [*begins[1:], count]):
            indices = order[begin:end]
            pixels = augmented(images[indices], indices, recipe.get("augment", []), seed, epoch)
            loss = loss_of(network(as_batch(pixels).to(dtype)), torch.from_numpy(labels[indices]))
            optimizer.zero_grad()
            loss.backward()
            if recipe.get("clip_grad_norm", 0) > 0:
                nn.utils.clip_grad_norm_(network.parameters(), recipe["clip_grad_norm"])
            optimizer.step()
            if len(losses) + 1 < len(begins) * epochs:
                scheduler.step()
            losses.append(loss.item())
            if log:
                print(json.dumps({"step": len(losses), "epoch": epoch, "loss": losses[-1]}), file=log, flush=True)
        line = f"epoch {epoch}: train loss {np.mean(losses[-len(begins):]):.4f}"
        if test:
            line += f", test accuracy {accuracy(network, *test):.4f}"
        print(line, flush=True)
    return losses, network


def losses_agree(ours, theirs, moved):
    if len(ours) != len(theirs):
        sys.exit(f"native_train made {len(ours)} steps, PyTorch {len(theirs)}")
    agree = True
    roundings = 0.0
    for step, (a, b, *others) in enumerate(zip(ours, theirs, *moved)):
        difference = abs(a - b) / b
        roundings = max(roundings, *(abs(c - b) / b for c in others))
        print(f"step {step + 1}: Pinhole {a:.7f}, PyTorch {b:.7f}, apart by {difference:.1e}; roundings come to {roundings:.1e}")
        # Another order, augmentation or rate shows at once, as 1e-3 and more.
        agree = agree and difference <= max(1e-7 * 5**step, min(5 * roundings, 5e-4))
    print("the losses " + ("agree" if agree else "DO NOT agree"))
    return agree


def tensors_agree(ours, theirs, moved):
    """After the last step; running means and variances, which no loss of a training shows, too."""
    if set(ours) != set(theirs):
        sys.exit(f"Pinhole and PyTorch name other tensors: {set(ours) ^ set(theirs)}")
    agree = True
    for name, b in theirs.items():
        scale = max(b.abs().max().item(), 1e-6)
        difference, *others = ((torch.as_tensor(tensors[name]) - b).abs().max().item() / scale for tensors in (ours, *moved))
        print(f"{name}: apart by {difference:.1e}; roundings come to {max(others):.1e}")
        agree = agree and difference <= max(1e-5, 5 * max(others))
    print("the tensors " + ("agree" if agree else "DO NOT agree"))
    return agree


def compare(spec_path, spec, recipe, program):
    """Both train briefly on the first images of Fashion-MNIST, Pinhole with its plain loops and with its fast kernels; 1 when they do not agree."""
    count, epochs, seed = 193, 2, 3
    found = read_idx(FASHION, "train")
    if found is None:
        print("SKIPPED: no Fashion-MNIST (Debian: apt-get install dataset-fashion-mnist)")
        return 77
    images, labels = found[0][:count], found[1][:count]

    def theirs(moved=0.0):
        losses, network = train(spec, recipe, images, labels, seed, epochs, dtype=torch.float64, moved=moved)
        return losses, network.state_dict()

    losses, tensors = theirs()
    # Trainings whose first weights are a few roundings away say what roundings come to: a single value that falls on the other side of a
    # ReLU's zero is 1e-4 to 1e-3 of the gradients.
    moved_losses, moved_tensors = zip(*(theirs(moved) for moved in (1e-6, -1e-6, 2e-6)))
    agree = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "train-images-idx3-ubyte").write_bytes(
            b"".join(n.to_bytes(4, "big") for n in (2051, *images.shape[:3])) + images.tobytes())
        (folder / "train-labels-idx1-ubyte").write_bytes(
            b"".join(n.to_bytes(4, "big") for n in (2049, count)) + labels.astype(np.uint8).tobytes())
        log, out = folder / "log.jsonl", folder / "out.safetensors"
        for backend in ("reference", "auto"):
            print(f"Pinhole's backend: {backend}")
            done = subprocess.run(
                [program, "--data", folder, "--model", spec_path, "--epochs", str(epochs), "--seed", str(seed), "--val-split", "0",
                 "--log", log, "--out", out, "--backend", backend], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                sys.exit(f"native_train ended with {done.returncode}:\n{done.stdout}")
            rows = [json.loads(line) for line in log.read_text().splitlines()]
            saved, _ = safetensors_io.load_file(out)
            agree = losses_agree([row["loss"] for row in rows if "step" in row and "loss" in row], losses, moved_losses) and agree
            agree = tensors_agree(saved, tensors, moved_tensors) and agree
    return 0 if agree else 1


def main():
    parser = argparse.ArgumentParser(description="Trains a spec with its recipe in PyTorch, as native_train does.")
    parser.add_argument("--data", type=pathlib.Path, default=FASHION, help="folder with IDX files")
    parser.add_argument("--model", default="fashion_small", help="a spec's name in models/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--threads", type=int, help="of PyTorch")
    parser.add_argument("--log", type=argparse.FileType("w"), help="write the steps as JSON lines, as native_train does")
    parser.add_argument("--compare", metavar="NATIVE_TRAIN", help="train briefly with both and compare the losses")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    spec_path = MODELS / f"{arguments.model}.json"
    recipe_path = MODELS / f"{arguments.model}.recipe.json"
    spec = json.loads(spec_path.read_text())
    recipe = json.loads(recipe_path.read_text()) if recipe_path.exists() else {}
    with np.errstate(over="ignore"):  # the hash wraps around
        if arguments.compare:
            return compare(spec_path, spec, recipe, arguments.compare)
        found = read_idx(arguments.data, "train")
        if found is None:
            sys.exit(f"{arguments.data} has no train-images-idx3-ubyte and train-labels-idx1-ubyte")
        test = read_idx(arguments.data, "t10k")
        _, network = train(spec, recipe, *found, arguments.seed, arguments.epochs or recipe.get("epochs", 10), test, arguments.log)
        if test:
            print(f"seed {arguments.seed}: test accuracy {accuracy(network, *test):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
