#!/usr/bin/env python3
# Makes augment.safetensors with Pillow and numpy: what torchvision.transforms does to a PIL image for given parameters.
# torchvision itself is not needed: its formulas (torchvision.transforms.functional, 0.14) are written out here.
# Needs Debian's python3-pil and python3-numpy. `--check` compares with the file that is there.
import argparse
import json
import math
import pathlib
import sys

import numpy as np
from PIL import Image, ImageEnhance

import safetensors_io

HERE = pathlib.Path(__file__).resolve().parent


def inverse_affine_matrix(center, angle, translate, scale, shear):
    """torchvision.transforms.functional._get_inverse_affine_matrix."""
    rot, (sx, sy) = math.radians(angle), [math.radians(s) for s in shear]
    (cx, cy), (tx, ty) = center, translate
    a = math.cos(rot - sy) / math.cos(sy)
    b = -math.cos(rot - sy) * math.tan(sx) / math.cos(sy) - math.sin(rot)
    c = math.sin(rot - sy) / math.cos(sy)
    d = -math.sin(rot - sy) * math.tan(sx) / math.cos(sy) + math.cos(rot)
    matrix = [x / scale for x in [d, -b, 0.0, -c, a, 0.0]]
    matrix[2] += matrix[0] * (-cx - tx) + matrix[1] * (-cy - ty) + cx
    matrix[5] += matrix[3] * (-cx - tx) + matrix[4] * (-cy - ty) + cy
    return matrix


def affine(image, angle=0, translate=(0, 0), scale=1.0, shear=(0, 0), bilinear=False, fill=0):
    center = (image.width * 0.5, image.height * 0.5)
    matrix = inverse_affine_matrix(center, angle, translate, scale, shear)
    resample = Image.Resampling.BILINEAR if bilinear else Image.Resampling.NEAREST
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample,
                           fillcolor=fill if image.mode == "L" else (fill,) * 3)


def adjust_hue(image, factor):
    if image.mode == "L":
        return image
    h, s, v = image.convert("HSV").split()
    turned = (np.array(h, np.int32) + (int(factor * 255) & 255)) & 255  # numpy's uint8(factor * 255) and its overflow
    return Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8), "L"), s, v)).convert("RGB")


def padded_crop(image, padding, mode, fill, top, left):
    array = np.asarray(image)
    pads = [(padding, padding)] * 2 + [(0, 0)] * (array.ndim - 2)
    keys = {"constant_values": fill} if mode == "constant" else {}
    wide = np.pad(array, pads, mode=mode, **keys)
    return Image.fromarray(wide[top : top + image.height, left : left + image.width])


def operations():
    """name, parameters, function of an image."""
    yield "flip", {}, lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for padding, mode, fill, top, left in [(3, "constant", 0, 0, 6), (3, "constant", 77, 5, 1), (4, "edge", 0, 8, 0),
                                           (5, "reflect", 0, 0, 10), (2, "constant", 9, 2, 2)]:
        yield ("shift_padded", {"padding": padding, "mode": mode, "fill": fill, "top": top, "left": left},
               lambda i, p=padding, m=mode, f=fill, t=top, l=left: padded_crop(i, p, m, f, t, l))
    for top, left, height, width in [(0, 0, 13, 11), (2, 3, 6, 7), (1, 0, 12, 4), (5, 5, 1, 1)]:
        yield ("resized_crop", {"top": top, "left": left, "height": height, "width": width},
               lambda i, t=top, l=left, h=height, w=width: i.crop((l, t, l + w, t + h)).resize(
                   i.size, Image.Resampling.BILINEAR))
    for keys in [{}, {"angle": 30.0}, {"angle": -100.5, "bilinear": True}, {"translate": (3, -2), "fill": 200},
                 {"scale": 1.7, "bilinear": True}, {"scale": 0.6, "fill": 31}, {"shear": (20.0, 0.0), "bilinear": True},
                 {"shear": (10.0, -25.0)}, {"angle": 17.0, "translate": (-1, 2), "scale": 1.2, "shear": (5.0, 8.0),
                                            "bilinear": True, "fill": 128}]:
        yield "affine", keys, lambda i, k=keys: affine(i, **k)
    for factor in [0.0, 0.4, 1.0, 1.3, 2.5]:
        yield "brightness", {"factor": factor}, lambda i, f=factor: ImageEnhance.Brightness(i).enhance(f)
        yield "contrast", {"factor": factor}, lambda i, f=factor: ImageEnhance.Contrast(i).enhance(f)
        yield "saturation", {"factor": factor}, lambda i, f=factor: ImageEnhance.Color(i).enhance(f)
    for factor in [-0.5, -0.13, 0.05, 0.31, 0.5]:
        yield "hue", {"factor": factor}, lambda i, f=factor: adjust_hue(i, f)


def main():
    parser = argparse.ArgumentParser(description="Makes tests/golden/augment.safetensors with Pillow.")
    parser.add_argument("--check", action="store_true", help="compare with the file that is there, write nothing")
    arguments = parser.parse_args()
    random = np.random.default_rng(7)
    # Smooth and noisy, with grey pixels and the extremes.
    y, x = np.mgrid[0:13, 0:11]
    colour = np.stack([20 * y, 23 * x, 255 - 12 * (x + y)], -1) + random.integers(-30, 30, (13, 11, 3))
    colour[3:5, 2:6] = 255
    colour[6, :4] = [[0, 0, 0], [9, 9, 9], [255, 0, 0], [0, 0, 255]]
    colour = np.clip(colour, 0, 255).astype(np.uint8)
    inputs = {"colour": Image.fromarray(colour), "grey": Image.fromarray(colour[:, :, 1].copy())}
    # float16 holds every whole number up to 2048.
    tensors = {name: np.asarray(image).reshape(13, 11, -1).astype(np.float16) for name, image in inputs.items()}
    listed = []
    for name, parameters, function in operations():
        for image_name, image in inputs.items():
            key = f"{len(listed):03}"
            tensors[key] = np.asarray(function(image)).reshape(13, 11, -1).astype(np.float16)
            listed.append({"key": key, "name": name, "image": image_name, **parameters})
    path = HERE / "augment.safetensors"
    if arguments.check:
        stored, metadata = safetensors_io.load_file(path)
        same = json.loads(metadata["cases"]) == json.loads(json.dumps(listed)) and all(
            np.array_equal(stored.get(key), tensors[key]) for key in tensors)
        print(f"{path.name}: " + ("same" if same else "differs"))
        return 0 if same else 1
    safetensors_io.save_file(tensors, path, {"cases": json.dumps(listed)})
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size / 1000:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
