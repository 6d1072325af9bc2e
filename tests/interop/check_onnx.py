#!/usr/bin/env python3
# The onnx package's own checker over .onnx files, with its shape inference. Usage: check_onnx.py FILE.onnx ...
import sys

import onnx

for path in sys.argv[1:]:
    onnx.checker.check_model(onnx.load(path), full_check=True)
