# Reads and writes safetensors with numpy alone, because Debian has no `safetensors` package.
# Format: https://github.com/huggingface/safetensors#format. Written files keep name order and 8-byte alignment, as the core's do.
import json
import struct

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}


def load_file(path):
    """Returns ({name: array}, {metadata key: text})."""
    with open(path, "rb") as file:
        data = file.read()
    (header_size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + header_size])
    metadata = header.pop("__metadata__", {})
    body = memoryview(data)[8 + header_size :]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(body[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy()
    return tensors, metadata


def save_file(tensors, path, metadata=None):
    header, chunks, position = {"__metadata__": dict(metadata or {})}, [], 0
    for name in sorted(tensors):
        array = np.asarray(tensors[name])
        dtype = next(key for key, value in DTYPES.items() if np.dtype(value) == array.dtype)
        chunk = array.astype(DTYPES[dtype]).tobytes()  # C order
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [position, position + len(chunk)]}
        chunks.append(chunk)
        position += len(chunk)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))
