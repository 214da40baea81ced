"""Numbers that Python and C make alike: value i of a named array is a function of the name, the seed and i alone.

splitmix64's finaliser over seed ^ fnv1a64(name) + (i + 1) * golden ratio; its upper 24 bits, centred, are a multiple of 2^-23 in
[-1, 1), exact in float32; one float32 product scales it. tests/support/counter.c is the same in C.
"""

import numpy as np


def fnv1a64(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def bits(seed, name, n):
    with np.errstate(over="ignore"):
        x = np.uint64(seed ^ fnv1a64(name)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def array(seed, name, shape, amplitude):
    """float32, uniform in [-amplitude, amplitude)."""
    n = int(np.prod(shape))
    centred = (bits(seed, name, n) >> np.uint64(40)).astype(np.int64) - (1 << 23)
    return ((centred * 2.0**-23).astype(np.float32) * np.float32(amplitude)).reshape(shape)


def modules(seed, shape, n_lookahead, r, soft_amplitude, b_amplitude):
    """Random soft tokens and a random NON-ZERO LoRA for every projection of every layer.

    shape: dict with n_layer, n_embd and (n_out, n_in) of each projection. A is scaled by sqrt(3 / n_in), so that A x has about
    x's own size. Names are those of the module file.
    """
    soft = array(seed, "lookahead.embedding", (n_lookahead, shape["n_embd"]), soft_amplitude)
    lora = {}
    for layer in range(shape["n_layer"]):
        for proj in ("q", "k", "v", "o", "gate", "up", "down"):
            n_out, n_in = shape[proj]
            name = f"layers.{layer}.{proj}.lora_"
            a = array(seed, name + "a", (r, n_in), np.sqrt(np.float32(3.0) / np.float32(n_in)))
            lora[layer, proj] = a, array(seed, name + "b", (n_out, r), b_amplitude)
    return soft, lora
