#!/usr/bin/env python3
"""
Golden gradients of training: PyTorch's autograd through the paper's joint pass [prompt; soft tokens], in double precision.

    build/golden/bin/python tests/golden/make_gradients.py     # tests/golden/smollm2/gradients.safetensors, a minute

Prompt and truth are those of smollm2/raw.safetensors, the modules those of its seed (make_golden.py). Of every tensor's gradient are kept
its norm, its product with a known array (counter.py) and N_SAMPLE of its elements, evenly spread; of the loss every head's part. Nothing
here knows that the prompt's keys and values are constants: that they are is part of what the test finds out.
"""

import os

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

import counter
import make_golden
import reference

N_SAMPLE = 12


class Attention:
    """The rows first.. of every layer's attention over the prompt, with their graph."""

    def __init__(self, model, first):
        self.map = [None] * len(model.model.layers)
        self.handles = [layer.self_attn.register_forward_hook(self.hook(i, first)) for i, layer in enumerate(model.model.layers)]

    def hook(self, index, first):
        def keep(module, inputs, output):
            self.map[index] = output[1][0, :, first:, :first].mean(1)

        return keep

    def close(self):
        for handle in self.handles:
            handle.remove()


def head_kl(truth, attention):
    """(n_layer, n_head): KL(truth || prediction), both L1-normalised over the prompt: LookaheadKV's loss (arXiv 2603.10899)."""
    t, s = truth / truth.sum(-1, keepdim=True), attention / attention.sum(-1, keepdim=True)
    return (t * (torch.log(t + 1e-12) - torch.log(s + 1e-12))).sum(-1)


def reaches_a_score(model, layer, proj):
    return layer < len(model.model.layers) - 1 or proj in "qk"


def backward(model, ids, truth, soft, lora):
    """Loss parts and the gradients by name, in the module file's names and row order."""
    leaf = {"lookahead.embedding": torch.from_numpy(soft).double().requires_grad_()}
    for (layer, proj), pair in lora.items():
        if reaches_a_score(model, layer, proj):
            for which, x in zip("ab", pair):
                leaf[f"layers.{layer}.{proj}.lora_{which}"] = torch.from_numpy(x).double().requires_grad_()
    pairs = {at: [leaf[f"layers.{at[0]}.{at[1]}.lora_{which}"] for which in "ab"] for at in lora if reaches_a_score(model, *at)}
    adapters, attention = reference.Adapters(model, pairs, make_golden.SCALE, len(ids)), Attention(model, len(ids))
    embeds = torch.cat([model.model.embed_tokens(torch.tensor([ids])), leaf["lookahead.embedding"][None]], 1)
    model.model(inputs_embeds=embeds, use_cache=False)
    attention.close()
    kl = head_kl(truth, torch.stack(attention.map))
    kl.mean().backward()
    adapters.close()
    return kl.detach().numpy(), {name: x.grad.numpy() for name, x in leaf.items()}


def evenly(n):
    return np.arange(N_SAMPLE) * n // N_SAMPLE


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    model = reference.load_gguf(os.path.join(cache, "kvglass"), make_golden.MODEL).double()
    soft, lora, meta = make_golden.random_modules(model)
    raw = load_file(os.path.join(make_golden.HERE, "smollm2", "raw.safetensors"))
    ids = [int(i) for i in raw["tokens.prompt"]]
    torch.set_grad_enabled(True)
    model.requires_grad_(False)
    kl, gradient = backward(model, ids, torch.from_numpy(raw["rows.truth"]).double(), soft, lora)
    out = {"head_kl": kl.astype(np.float32)}
    for name, g in gradient.items():
        g = g.reshape(-1)
        probe = counter.array(make_golden.SEED, "probe." + name, g.size, 1.0).astype(np.float64)
        out[name] = np.concatenate([[np.linalg.norm(g), g @ probe], g[evenly(g.size)]]).astype(np.float32)
    path = os.path.join(make_golden.HERE, "smollm2", "gradients.safetensors")
    save_file(out, path, dict(meta, made_by=f"make_gradients.py, torch {torch.__version__}", loss=f"{kl.mean():.9f}"))
    os.chmod(path, 0o644)
    print(f"loss {kl.mean():.6f}, {len(gradient)} tensors, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    reference.quiet()
    main()
