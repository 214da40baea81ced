#!/usr/bin/env python3
"""Golden kept sets of kvpress's own methods on a tiny random Llama (PyPI: torch, transformers, kvpress, safetensors).

    python3 tests/golden/make_presets.py tests/golden/presets

writes presets.kvg (attention means of the model's rows, by the eager implementation) and presets.json: for each press the positions
that each layer and KV head keeps, found by looking for the kept keys among all keys (AdaKVPress: what it does not mask).
"""
import json
import sys
from importlib.metadata import version

import kvpress
import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

N, KEPT, LAYERS, HEADS, KV = 200, 100, 3, 4, 2


def model(implementation):
    torch.manual_seed(5)
    config = LlamaConfig(vocab_size=256, hidden_size=32, intermediate_size=48, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                         num_key_value_heads=KV, max_position_embeddings=512, initializer_range=0.4, attn_implementation=implementation)
    return LlamaForCausalLM(config).eval().float()


def all_keys_of(ids, implementation):
    cache = DynamicCache()
    with torch.no_grad():
        model(implementation)(ids, past_key_values=cache)
    return [layer.keys.clone() for layer in cache.layers]


def kept_by(press, ids, implementation):
    all_keys = all_keys_of(ids, implementation)
    m, cache = model(implementation), DynamicCache()
    with torch.no_grad(), press(m):
        m(ids, past_key_values=cache, output_attentions=implementation == "eager")
    out = []
    for l in range(LAYERS):
        masked = getattr(m.model.layers[l].self_attn, "masked_key_indices", None)
        heads = []
        for g in range(KV):
            if masked is not None:
                gone = set(masked[2][masked[1] == g].tolist())
                heads.append([j for j in range(N) if j not in gone])
                continue
            keys = cache.layers[l].keys[0, g]
            distance = (keys[:, None, :] - all_keys[l][0, g][None, :, :]).abs().sum(-1)
            assert float(distance.min(1).values.max()) == 0
            heads.append(sorted(distance.argmin(1).tolist()))
        out.append(heads)
    return out


def main():
    torch.set_num_threads(1)
    ids = torch.randperm(256, generator=torch.Generator().manual_seed(6))[None, :N]  # no token twice: equal keys tie
    with torch.no_grad():
        attention = model("eager")(ids, output_attentions=True).attentions
    keys = all_keys_of(ids, "eager")
    a = torch.cat(attention).double()  # (layer, head, row, key)
    maps = {"rows.snapkv_w64": a[:, :, -64:].mean(2), "rows.tova": a[:, :, -1], "rows.h2o": a.mean(2),
            "score.keynorm": -torch.cat(keys).double().norm(dim=-1)}
    tokens = {"tokens.prompt": ids[0].int().numpy(), "tokens.response": np.zeros(0, dtype=np.int32)}
    meta = {"kvglass.version": "1", "kvglass.n_kv_head": str(KV), "kvglass.window": "64", "kvglass.model_name": "tiny random llama"}
    save_file({**{k: np.ascontiguousarray(v.float().numpy()) for k, v in maps.items()}, **tokens}, sys.argv[1] + ".kvg", meta)
    r = 1 - KEPT / N
    presses = {
        "snapkv-kvpress": (kvpress.SnapKVPress(r), "sdpa"),
        "pyramidkv-kvpress": (kvpress.PyramidKVPress(r), "sdpa"),
        "adakv-kvpress": (kvpress.AdaKVPress(kvpress.SnapKVPress(r)), "sdpa"),
        "tova-kvpress": (kvpress.TOVAPress(r), "sdpa"),
        "observed-kvpress": (kvpress.ObservedAttentionPress(r), "eager"),
        "knorm": (kvpress.KnormPress(r), "sdpa"),
        "streamingllm": (kvpress.StreamingLLMPress(r), "sdpa"),
    }
    out = {name: kept_by(press, ids, impl) for name, (press, impl) in presses.items()}
    for name, layers in out.items():
        print(name, [[len(h) for h in l] for l in layers])
    with open(sys.argv[1] + ".json", "w") as f:
        json.dump({"budget": KEPT, "kvpress": version("kvpress"), "kept": out}, f, separators=(",", ":"))
        f.write("\n")


main()
