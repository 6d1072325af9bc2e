#!/usr/bin/env python3
# Pinhole's file in PyTorch: loads a saved model into the lesson's own nn.Module with strict=True, runs it on photos prepared by
# Pillow alone, and compares every probability with what native_classify says.
# Usage: check_torch.py --model FILE.safetensors --photos DIR --classify PATH_TO_native_classify [--tolerance 1e-4]
import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np
import torch
from PIL import Image, ImageOps

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import lesson_networks
import safetensors_io


def load(path):
    """The lesson's network with the file's weights, and the classes in label order."""
    tensors, metadata = safetensors_io.load_file(path)
    classes = json.loads(metadata["classes"])
    name = json.loads(metadata["spec"])["name"]
    networks = {
        "BinaryCNN": lesson_networks.BinaryCNN,
        "MultiClassCNN": lambda: lesson_networks.MultiClassCNN(len(classes)),
    }
    model = networks[name]()
    model.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()}, strict=True)
    return model.eval(), name, classes


def prepare(path):
    """ImageFolder's loader, Resize((224, 224)) and ToTensor, with the photo upright and transparency on white."""
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(image, np.uint8).copy()).permute(2, 0, 1).float().div(255)


def main():
    parser = argparse.ArgumentParser(description="Compares PyTorch and native_classify on the same model and photos.")
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--photos", required=True, type=pathlib.Path)
    parser.add_argument("--classify", required=True, type=pathlib.Path, help="the program native_classify")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()

    model, name, classes = load(arguments.model)
    command = [arguments.classify, "--model", arguments.model, "--json", arguments.photos]
    results = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if not results:
        sys.exit(f"native_classify found no photo in {arguments.photos}")

    largest, wrong, spread = 0.0, [], set()
    for result in results:
        if list(result["probabilities"]) != classes:
            sys.exit(f"{result['path']}: classes {list(result['probabilities'])}, the file has {classes}")
        expected = lesson_networks.probabilities(model, prepare(result["path"]).unsqueeze(0))[0].numpy()
        got = np.array(list(result["probabilities"].values()))
        difference = float(np.abs(expected - got).max())
        largest = max(largest, difference)
        spread.add(round(float(got[0]), 3))
        label = classes[int(got.argmax())]
        if not difference <= arguments.tolerance:
            wrong.append(f"{result['path']}: PyTorch {expected.tolist()}, native_classify {got.tolist()}")
        elif result["label"] != label or abs(result["probability"] - got.max()) > 1e-6:
            wrong.append(f"{result['path']}: label {result['label']} {result['probability']}, but {label} has {got.max()}")
    # A network that answers the same for every photo would agree without showing anything.
    if len(spread) < min(4, len(results)):
        wrong.append(f"the network gives only {len(spread)} different answers")
    print(f"{name}: {len(results)} photos, largest difference of a probability {largest:.1e} (allowed {arguments.tolerance:.0e})")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
