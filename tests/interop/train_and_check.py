#!/usr/bin/env python3
# Trains the lesson's two networks briefly with native_train and gives each file to check_torch.py. with_torch.sh starts it.
# Usage: interop.py --train native_train --classify native_classify --source REPOSITORY
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TRAINING_PHOTOS = 8  # of each class
CHECKED_PHOTOS = 16  # so that half of them are new to the network


def copy_photos(source, target, classes, begin, end):
    for name in classes:
        (target / name).mkdir(parents=True)
        for photo in sorted((source / name).iterdir())[begin:end]:
            shutil.copy(photo, target / name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train", required=True)
    parser.add_argument("--classify", required=True)
    parser.add_argument("--source", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    photos = arguments.source / "web/public/samples/photos"
    all_classes = sorted(folder.name for folder in photos.iterdir() if folder.is_dir())
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for spec, classes in (("multiclass_cnn", all_classes), ("binary_cnn", all_classes[:2])):
            copy_photos(photos, work / spec / "train", classes, 0, TRAINING_PHOTOS)
            copy_photos(photos, work / spec / "check", classes, 0, CHECKED_PHOTOS)
            model = work / f"{spec}.safetensors"
            train = [arguments.train, "--data", work / spec / "train", "--model", arguments.source / f"models/{spec}.json",
                     "--out", model, "--epochs", "3", "--batch-size", "8", "--lr", "1e-4", "--val-split", "0"]
            trained = subprocess.run(train, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if trained.returncode != 0:
                sys.exit(f"native_train ended with {trained.returncode}:\n{trained.stdout}")
            check = [sys.executable, HERE / "check_torch.py", "--model", model, "--photos", work / spec / "check",
                     "--classify", arguments.classify]
            failed = subprocess.run(check).returncode != 0 or failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
