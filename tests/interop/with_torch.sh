#!/bin/sh
# Usage: with_torch.sh SCRIPT ARGUMENTS. Runs a Python script with the first Python that has PyTorch, numpy and Pillow. Without
# one the test did not happen: exit 77, which CTest shows and counts as skipped.
for python in "$PYTHON" python3 /usr/bin/python3; do
  if [ -n "$python" ] && "$python" -c 'import torch, numpy, PIL' 2>/dev/null; then
    exec "$python" "$@"
  fi
done
echo "SKIPPED: no Python with PyTorch, numpy and Pillow (Debian: apt-get install python3-torch python3-numpy python3-pil)"
exit 77
