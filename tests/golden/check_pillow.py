#!/usr/bin/env python3
# Compares what Pinhole makes of a folder of photos with Pillow (pixels) and torchvision (classes and samples), by hand:
#   cmake --build build/native --target image_tool
#   tests/golden/check_pillow.py build/native/tests/image_tool web/public/samples/photos [--size 224 224] [--channels 3] [--folder]
# Prints the largest difference and how many values differ. Needs Debian's python3-pil and, for --folder, python3-torchvision.
import argparse
import collections
import pathlib
import subprocess
import sys

import numpy as np
from PIL import Image, ImageOps

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')


def reference(path, height, width, channels):
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
        rgba = image.convert('RGBA')
        image = Image.new('RGB', rgba.size, 'white')
        image.paste(rgba, mask=rgba.getchannel('A'))
    if image.mode.startswith('I'):  # 16-bit grey, which convert("RGB") clips at 255: its high byte
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert('RGB')
    if channels == 1:
        image = image.convert('L')
    return np.asarray(image.resize((width, height), Image.BILINEAR)).reshape(-1)


def compare_pixels(tool, root, height, width, channels):
    paths = sorted(path for path in root.rglob('*') if path.suffix.lower() in EXTENSIONS)
    counts, worst, files = collections.Counter(), [], 0
    for path in paths:
        run = subprocess.run([tool, 'pixels', str(height), str(width), str(channels), path], capture_output=True)
        try:
            expected = reference(path, height, width, channels)
        except Exception as error:  # whatever Pillow says of a file it cannot read
            expected = None
            pillow_says = error
        if run.stdout[:1] != b'\1' or expected is None:
            ours = run.stderr.decode(errors='replace').strip() if run.stdout[:1] != b'\1' else 'reads it'
            print(f'{path}: Pinhole: {ours}; Pillow: {"reads it" if expected is not None else pillow_says}')
            continue
        files += 1
        difference = np.abs(np.frombuffer(run.stdout[1:], np.uint8).astype(int) - expected)
        counts.update(dict(zip(*(part.tolist() for part in np.unique(difference, return_counts=True)))))
        if difference.max() > 0:
            worst.append((int(difference.max()), int((difference > 0).sum()), str(path)))
    print(f'{files} images at {height}x{width}x{channels}, {sum(counts.values())} values; values by difference: {dict(sorted(counts.items()))}')
    for largest, values, path in sorted(worst, reverse=True)[:10]:
        print(f'  {path}: up to {largest}, {values} values')
    return max(counts, default=0) <= 1


def compare_folder(tool, root):
    from torchvision.datasets import ImageFolder

    theirs = ImageFolder(str(root))
    run = subprocess.run([tool, 'folder', root], capture_output=True, check=True)
    classes, samples = run.stdout.decode(errors='surrogateescape').split('\n\n')
    same = classes.split('\n') == theirs.classes
    same = same and samples.splitlines() == [f'{label} {path}' for path, label in theirs.samples]
    print(f'torchvision: {len(theirs.classes)} classes, {len(theirs.samples)} samples, {"the same" if same else "NOT the same"} in Pinhole')
    return same


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('tool')
    parser.add_argument('root', type=pathlib.Path)
    parser.add_argument('--size', type=int, nargs=2, default=(224, 224), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--channels', type=int, choices=(1, 3), default=3)
    parser.add_argument('--folder', action='store_true', help='compare classes and samples with torchvision instead')
    options = parser.parse_args()
    if options.folder:
        return compare_folder(options.tool, options.root)
    return compare_pixels(options.tool, options.root, *options.size, options.channels)


if __name__ == '__main__':
    sys.exit(0 if main() else 1)
