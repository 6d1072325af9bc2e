#!/usr/bin/env python3
# Makes recipes.safetensors with PyTorch: learning rates of schedules, losses with class weights, label smoothing and mixed labels,
# mixed images, gradients clipped by their norm, exponential moving averages; tests/recipe_test.cpp and tests/mix_test.cpp compare the
# core with them.
# Rules as in make_goldens.py: inputs from the counter-based hash, answers in float64 stored as float32.
# Needs Debian's python3-torch. `--check` compares with the file that is there.
import argparse
import json
import math
import sys

import numpy as np
import torch
from torch.nn import functional
from torch.optim import lr_scheduler

import safetensors_io
from make_goldens import HERE, differences, signed


def make_schedules(tensors):
    cases = [
        ("constant", {"type": "constant"}, 0.1, 3, 4),
        ("constant with warm-up", {"type": "constant", "warmup_epochs": 1.5, "warmup_start": 0.1}, 0.1, 4, 4),
        ("step", {"type": "step", "step_size": 2, "gamma": 0.3}, 0.1, 3, 7),
        ("step with warm-up", {"type": "step", "step_size": 1, "gamma": 0.5, "warmup_epochs": 1}, 0.05, 5, 4),
        ("cosine", {"type": "cosine"}, 0.01, 7, 3),
        ("cosine to a rate above 0", {"type": "cosine", "eta_min": 0.002}, 0.01, 7, 3),
        ("cosine with warm-up", {"type": "cosine", "eta_min": 1e-4, "warmup_epochs": 0.5, "warmup_start": 0.01}, 0.02, 10, 5),
        ("one cycle", {"type": "one_cycle"}, 0.1, 10, 4),
        ("one cycle, steep", {"type": "one_cycle", "pct_start": 0.1, "div_factor": 10, "final_div_factor": 100}, 0.3, 7, 9),
        ("one cycle that begins at the top", {"type": "one_cycle", "pct_start": 0.0}, 0.3, 5, 2),
        ("one cycle of three steps", {"type": "one_cycle"}, 0.3, 1, 3),
    ]
    listed = []
    for name, schedule, lr, steps_per_epoch, epochs in cases:
        parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer = torch.optim.SGD([parameter], lr=lr)
        total = steps_per_epoch * epochs
        warmup = round(schedule.get("warmup_epochs", 0) * steps_per_epoch)
        kind = schedule["type"]
        if kind == "one_cycle":
            main = lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=total, cycle_momentum=False,
                                           **{key: schedule[key] for key in ("pct_start", "div_factor", "final_div_factor")
                                              if key in schedule})
        elif kind == "step":
            main = lr_scheduler.StepLR(optimizer, schedule["step_size"] * steps_per_epoch, schedule["gamma"])
        elif kind == "cosine":
            main = lr_scheduler.CosineAnnealingLR(optimizer, total - warmup, schedule.get("eta_min", 0))
        else:
            main = lr_scheduler.ConstantLR(optimizer, 1, 1)
        scheduler = main
        if warmup:
            rise = lr_scheduler.LinearLR(optimizer, schedule.get("warmup_start", 1 / 3), 1.0, warmup)
            scheduler = lr_scheduler.SequentialLR(optimizer, [rise, main], [warmup])
        rates = []
        for step in range(total):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if step + 1 < total:
                scheduler.step()
        key = f"schedule{len(listed):02}"
        tensors[key] = np.array(rates, np.float32)
        listed.append({"key": key, "name": name, "schedule": schedule, "lr": lr, "steps_per_epoch": steps_per_epoch,
                       "epochs": epochs})
    return listed


def make_losses(tensors):
    # name, classes, smoothing, class weights[, share of the first of two labels]
    cases = [
        ("label smoothing", 5, 0.1, None),
        ("class weights", 5, 0.0, [1.0, 0.5, 3.0, 0.25, 2.0]),
        ("both", 4, 0.2, [1.0, 0.5, 3.0, 0.0]),
        ("smoothing to no information", 3, 1.0, None),
        ("two classes, one output: smoothing", 2, 0.1, None),
        ("two classes, one output: weights", 2, 0.0, [0.7, 4.0]),
        ("two classes, one output: both", 2, 0.3, [0.7, 4.0]),
        ("mixed labels", 5, 0.0, None, 0.3),
        ("mixed labels, smoothing and weights", 5, 0.1, [1.0, 0.5, 3.0, 0.25, 2.0], 0.875),
        ("two classes, one output: mixed labels", 2, 0.2, [0.7, 4.0], 0.6),
    ]
    listed = []
    for name, classes, smoothing, weights, *share in cases:
        key = f"loss{len(listed):02}"
        one_output = "one output" in name
        count = 9
        logits = signed(31, len(listed), (count, 1 if one_output else classes), 4)
        labels = [(3 * i * i + i) % classes for i in range(count)]
        z = torch.from_numpy(logits).double().requires_grad_()
        # A binary network is a network of two outputs whose first is always 0.
        both = torch.cat([torch.zeros_like(z), z], 1) if one_output else z
        weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
        target = torch.tensor(labels)
        if share:  # torchvision's references/classification/transforms.py
            target = functional.one_hot(target, classes).double()
            target = target.roll(1, 0) * (1 - share[0]) + target * share[0]
        value = functional.cross_entropy(both, target, weight=weight, label_smoothing=smoothing)
        value.backward()
        tensors[f"{key}/logits"] = logits
        tensors[f"{key}/value"] = np.array([value.item()], np.float32)
        tensors[f"{key}/dlogits"] = z.grad.numpy().astype(np.float32)
        listed.append({"key": key, "name": name, "label_smoothing": smoothing, "class_weights": weights or [],
                       "labels": labels, "share": share[0] if share else None})
    return listed


def make_mixes(tensors):
    """RandomMixup and RandomCutmix of torchvision's references/classification/transforms.py, with what they draw given."""
    height, width = 7, 10
    listed = []
    for share, box in [(0.3, None), (0.3, (4, 3)), (0.75, (0, 9)), (0.02, (6, 0)), (0.999, (3, 3))]:
        key = f"mix{len(listed):02}"
        batch = signed(34, len(listed), (3, height, width, 2))
        x = torch.from_numpy(batch).permute(0, 3, 1, 2).clone()
        rolled = x.roll(1, 0)
        kept = share
        if box is None:
            rolled.mul_(1.0 - share)
            x.mul_(share).add_(rolled)
        else:
            row, column = box
            r = 0.5 * math.sqrt(1.0 - share)
            half_w, half_h = int(r * width), int(r * height)
            x1, y1 = max(column - half_w, 0), max(row - half_h, 0)
            x2, y2 = min(column + half_w, width), min(row + half_h, height)
            x[:, :, y1:y2, x1:x2] = rolled[:, :, y1:y2, x1:x2]
            kept = float(1.0 - (x2 - x1) * (y2 - y1) / (width * height))
        tensors[f"{key}/batch"] = batch
        tensors[f"{key}/mixed"] = x.permute(0, 2, 3, 1).contiguous().numpy()
        listed.append({"key": key, "share": share, "box": box, "kept": kept})
    return listed


def make_clipping(tensors):
    listed = []
    shapes = [(3, 5), (37,), (1001,)]
    for case, (scale, max_norm) in enumerate([(1.0, 1.0), (1.0, 100.0), (30.0, 5.0), (1e-5, 1e-3)]):
        key = f"clip{case:02}"
        parameters = []
        for p, shape in enumerate(shapes):
            grad = signed(32, 10 * case + p, shape, scale)
            tensors[f"{key}/grad{p}"] = grad
            parameter = torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
            parameter.grad = torch.from_numpy(grad).double()
            parameters.append(parameter)
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        for p, parameter in enumerate(parameters):
            tensors[f"{key}/clipped{p}"] = parameter.grad.numpy().astype(np.float32)
        tensors[f"{key}/norm"] = np.array([norm.item()], np.float32)
        listed.append({"key": key, "max_norm": max_norm, "parameters": len(shapes)})
    return listed


def make_averages(tensors):
    listed = []
    for case, decay in enumerate([0.9, 0.99]):
        key = f"average{case:02}"
        model = torch.nn.Linear(7, 3, bias=False).double()
        average = torch.optim.swa_utils.AveragedModel(
            model, avg_fn=lambda averaged, now, count, decay=decay: decay * averaged + (1 - decay) * now)
        values, averages = [], []
        for step in range(12):
            value = signed(33, 100 * case + step, (3, 7))
            with torch.no_grad():
                model.weight.copy_(torch.from_numpy(value))
            average.update_parameters(model)
            values.append(value)
            averages.append(average.module.weight.detach().numpy().copy())
        tensors[f"{key}/values"] = np.stack(values)
        tensors[f"{key}/averages"] = np.stack(averages).astype(np.float32)
        listed.append({"key": key, "decay": decay, "steps": 12})
    return listed


def main():
    parser = argparse.ArgumentParser(description="Makes tests/golden/recipes.safetensors with PyTorch.")
    parser.add_argument("--check", action="store_true", help="compare with the file that is there, write nothing")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    tensors = {}
    with np.errstate(over="ignore"):  # the hash wraps around
        metadata = {
            "schedules": json.dumps(make_schedules(tensors)),
            "losses": json.dumps(make_losses(tensors)),
            "mixes": json.dumps(make_mixes(tensors)),
            "clipping": json.dumps(make_clipping(tensors)),
            "averages": json.dumps(make_averages(tensors)),
        }
    path = HERE / "recipes.safetensors"
    if arguments.check:
        found = differences(tensors, metadata, path)
        print(f"{path.name}: " + ("same" if not found else "; ".join(found)))
        return 1 if found else 0
    safetensors_io.save_file(tensors, path, metadata)
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size / 1000:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
