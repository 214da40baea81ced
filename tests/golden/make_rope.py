#!/usr/bin/env python3
"""Rotary frequencies as transformers computes them (PyPI: transformers, torch, safetensors), float32.

    python3 tests/golden/make_rope.py tests/golden/rope.safetensors

One tensor per configuration, (head_dim / 2): "plain.<head_dim>.<base>" and "llama3.<head_dim>.<base>.<factor>.<low>.<high>.<original context>".
"""
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding


def frequencies(head_dim, rope):
    config = LlamaConfig(hidden_size=head_dim, num_attention_heads=1, head_dim=head_dim, rope_parameters=rope)
    return LlamaRotaryEmbedding(config).inv_freq.to(torch.float32).clone()


out = {}
for head_dim in (16, 64, 80, 128):
    for base in (10000, 100000, 500000, 1000000):
        out[f"plain.{head_dim}.{base}"] = frequencies(head_dim, {"rope_type": "default", "rope_theta": float(base)})
for head_dim, base, factor, low, high, context in ((128, 500000, 8, 1, 4, 8192), (64, 500000, 32, 1, 4, 8192), (16, 10000, 8, 1, 4, 64)):
    rope = {"rope_type": "llama3", "rope_theta": float(base), "factor": float(factor), "low_freq_factor": float(low),
            "high_freq_factor": float(high), "original_max_position_embeddings": context}
    out[f"llama3.{head_dim}.{base}.{factor}.{low}.{high}.{context}"] = frequencies(head_dim, rope)
save_file(out, sys.argv[1], metadata={"generator": "tests/golden/make_rope.py"})
