#!/usr/bin/env python3
# Every file of some folders through Pinhole and through Pillow: the table of npm run test:torture.
#   compare.py IMAGE_TOOL FOLDER...
# Each file must be decoded to Pillow's pixels, upright, or be refused with one sentence. A refusal counts as right when Pillow refuses
# the file too, or when the sentence says which format, or which kind of it, is not supported. 16-bit grey may be off by 1.
import collections
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
from PIL import Image, ImageFile, ImageOps

warnings.simplefilter('ignore')
Image.MAX_IMAGE_PIXELS = 100_000_000  # Pinhole's own limit; beyond twice of it Pillow refuses

SECONDS = 60
# Where the two may go different ways, and why.
EXCEPTIONS = {
    'bug696331.png': 'ends inside its image data, though after the last row: a cut file',
    'colormap-too-small.tga': 'indices past the colour map: the first colour here, black in GdkPixbuf; Pillow has no such map',
    'valid.1.ppm': 'a comment right behind "P6", which Netpbm and GdkPixbuf read',
}


def pillow(path):
    """RGBA of the upright image, alpha not multiplied in; and how far values may be from it (of 16 bits we round to 8, this cuts)."""
    image = Image.open(path)
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode in ('I', 'I;16', 'I;16B'):  # 16-bit grey, which convert("RGB") clips at 255
        return np.asarray(Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert('RGBA')), 1
    return np.asarray(image.convert('RGBA')), 0


def pillow_or_reference(path):
    """Where Pillow refuses a file that has its right pixels beside it, as GdkPixbuf's tests have: those."""
    try:
        return pillow(path)
    except Exception:
        reference = path.with_name(f'{path.name}.ref.png')
        if not reference.exists():
            raise
        return pillow(reference)


def pinhole(tool, path):
    """The same, or the sentence with which it refuses. Anything else that may happen is a failure of Pinhole's."""
    run = subprocess.run([tool, 'decode', path], capture_output=True, timeout=SECONDS)
    if run.returncode == 0:
        header, pixels = run.stdout.split(b'\n', 1)
        width, height = map(int, header.split())
        return np.frombuffer(pixels, np.uint8).reshape(height, width, 4), None
    sentence = run.stderr.decode(errors='replace').strip()
    if run.returncode != 1 or not sentence or '\n' in sentence:
        raise RuntimeError(f'ended with {run.returncode}: {sentence[:200]!r}')
    return None, sentence.removeprefix(f'{path}: ')


def compare(tool, path):
    """(verdict, detail, whether that is right)"""
    try:
        ours, refusal = pinhole(tool, path)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return 'BROKEN', str(error), False
    try:
        (theirs, tolerance), reason = pillow_or_reference(path), None
    except Exception as error:  # whatever Pillow says of a file it cannot read
        theirs, tolerance, reason = None, 0, f'{type(error).__name__}: {error}'
    if refusal is not None:
        known = theirs is None or 'not supported' in refusal or refusal.startswith('not an image: ')
        return 'refused', refusal + ('' if theirs is None else ' (Pillow reads it)'), known
    if theirs is None:
        return 'alone', f'Pillow: {reason}'[:120], False
    if ours.shape != theirs.shape:
        return 'DIFFERS', f'{ours.shape[1]}x{ours.shape[0]}, Pillow has {theirs.shape[1]}x{theirs.shape[0]}', False
    difference = np.abs(ours.astype(int) - theirs)
    difference[..., :3][theirs[..., 3] == 0] = 0  # the colour of what cannot be seen
    largest = int(difference.max())
    if largest > tolerance:
        return 'DIFFERS', f'up to {largest}, {int((difference > 0).sum())} of {difference.size} values', False
    return 'equal', f'{largest}', True


def main():
    tool, *folders = sys.argv[1:]
    verdicts, wrong = collections.Counter(), 0
    for folder in map(pathlib.Path, folders):
        for path in sorted(p for p in folder.rglob('*') if p.is_file() and not p.is_symlink()):
            verdict, detail, right = compare(tool, path)
            if not right and path.name in EXCEPTIONS:
                detail, right = f'{detail} (known: {EXCEPTIONS[path.name]})', True
            verdicts[verdict] += 1
            wrong += not right
            print(f'{"" if right else "! "}{folder.name}/{path.relative_to(folder)} | {verdict} | {detail}')
    print(f'{sum(verdicts.values())} files: {dict(verdicts)}; wrong: {wrong}')
    return wrong


if __name__ == '__main__':
    sys.exit(1 if main() else 0)
