#!/usr/bin/env python3
"""The mean of modules of one shape: a late stage of a training, averaged with the one before, fits its own prompts less and others a little better.

    average.py OUT.safetensors A.safetensors B.safetensors...

BF16 as kvglass train writes it; what the file says about itself is the last one's, and that it is a mean.
"""
import array
import json
import math
import struct
import sys


def read(path):
    """(metadata, {name: shape}, {name: values})"""
    with open(path, "rb") as f:
        data = f.read()
    (n,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + n])
    meta, shapes, values = header.pop("__metadata__"), {}, {}
    for name, tensor in header.items():
        if tensor["dtype"] != "BF16":
            sys.exit(f"{path}: {name} is {tensor['dtype']}, BF16 is needed")
        begin, end = (8 + n + at for at in tensor["data_offsets"])
        wide = array.array("I", (half << 16 for half in memoryview(data[begin:end]).cast("H")))
        shapes[name], values[name] = tensor["shape"], memoryview(wide).cast("B").cast("f")
    return meta, shapes, values


def bf16(value):
    """Nearest, ties to even."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return bits + 0x7FFF + (bits >> 16 & 1) >> 16


def write(path, meta, shapes, values):
    header, at, parts = {"__metadata__": meta}, 0, []
    for name, shape in shapes.items():
        parts.append(array.array("H", map(bf16, values[name])).tobytes())
        if len(parts[-1]) != 2 * math.prod(shape):
            sys.exit(f"{path}: {name} has another shape in another file")
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + len(parts[-1])]}
        at += len(parts[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def main(out, *paths):
    files = [read(path) for path in paths]
    meta, shapes, _ = files[-1]
    mean = {name: [sum(column) / len(files) for column in zip(*(values[name] for _, _, values in files), strict=True)] for name in shapes}
    write(out, meta | {"kvglass.training": f"mean of {len(files)} stages, the last: {meta['kvglass.training']}"}, shapes, mean)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
