#!/usr/bin/env python3
"""Golden values of the stored weight types, by the `gguf` package (PyPI: gguf, numpy, safetensors).

    python3 tests/golden/make_tensor_type.py tests/golden/tensor_type.safetensors

For every type: random blocks (any bits in quants and scales; float16 scales finite, subnormals and zeros among them) and what
gguf.quants.dequantize makes of them. For float16 and bfloat16 also float32 values and numpy's / torch-free rounding of them.
"""
import sys

import gguf
import numpy as np
from gguf.quants import dequantize
from safetensors.numpy import save_file

# type: bytes of a block, elements, byte offsets of its float16 fields, blocks kept
TYPES = {
    "Q8_0": (34, 32, [0], 16),
    "Q4_0": (18, 32, [0], 16),
    "Q4_1": (20, 32, [0, 2], 16),
    "Q5_0": (22, 32, [0], 16),
    "Q5_1": (24, 32, [0, 2], 16),
    "Q4_K": (144, 256, [0, 2], 4),
    "Q5_K": (176, 256, [0, 2], 4),
    "Q6_K": (210, 256, [208], 4),
}


def scales(rng, n):
    """float16 bit patterns without infinities and NaN: mostly of weights' size, some of any exponent, some zero."""
    values = rng.normal(0, 0.05, n).astype(np.float16).view(np.uint16)
    anything = rng.integers(0, 0x7C00, n, dtype=np.uint16) | (rng.integers(0, 2, n, dtype=np.uint16) << 15)
    pick = rng.random(n)
    values = np.where(pick < 0.3, anything, values)
    values = np.where(pick > 0.95, rng.integers(0, 0x400, n, dtype=np.uint16), values)  # subnormal or zero
    return values.astype("<u2")


def main():
    rng = np.random.default_rng(20260310)
    out = {}
    for name, (n_bytes, n_element, fields, n_block) in TYPES.items():
        blocks = rng.integers(0, 256, (n_block, n_bytes), dtype=np.uint8)
        for at in fields:
            blocks[:, at : at + 2] = scales(rng, n_block).view(np.uint8).reshape(n_block, 2)
        kind = gguf.GGMLQuantizationType[name]
        assert gguf.GGML_QUANT_SIZES[kind] == (n_element, n_bytes)
        with np.errstate(over="ignore"):
            values = dequantize(blocks.reshape(-1), kind).astype(np.float32)
        out[name + ".block"] = blocks.reshape(-1)
        out[name + ".value"] = values.reshape(-1)
    f32 = rng.integers(0, 1 << 32, 512, dtype=np.uint32)
    f32[256:] = (rng.normal(0, 1, 256) * 10.0 ** rng.uniform(-9, 6, 256)).astype(np.float32).view(np.uint32)
    # halves between two float16 / bfloat16 neighbours, the largest finite values, infinities
    f32[:8] = np.array([1 + 2**-11, 1 + 3 * 2**-11, 65519.9, 65520, 2**-25, 3 * 2**-25, np.inf, -np.inf], np.float32).view(np.uint32)
    f32[8:12] = [0x3F808000, 0x3F818000, 0x7F7F8000, 0x33000001]
    f32 = np.where((f32 & 0x7FFFFFFF) > 0x7F800000, np.uint32(0x3F800000), f32).astype(np.uint32)  # NaN has a test of its own
    x = f32.view(np.float32)
    with np.errstate(over="ignore"):
        half = x.astype(np.float16)
    out["F32.value"] = x
    out["F16.block"] = half.view(np.uint8)
    out["F16.value"] = half.astype(np.float32)
    brain = gguf.quants.quantize(x, gguf.GGMLQuantizationType.BF16)
    out["BF16.block"] = brain.view(np.uint8).reshape(-1)
    out["BF16.value"] = dequantize(brain, gguf.GGMLQuantizationType.BF16).astype(np.float32).reshape(-1)
    save_file(out, sys.argv[1], metadata={"generator": "tests/golden/make_tensor_type.py", "gguf": "PyPI gguf"})


main()
