#!/usr/bin/env python3
"""
A training step of kvglass and PyTorch's autograd doing the same, turn by turn on the same cores: not a test, for the closing note and the README.

    build/golden/bin/python tests/golden/train_speed.py [--rounds 3] [--threads 2] [--prompts 8] [--length 420]

All take the prompts' keys and values as constants and run 32 lookahead rows a prompt through every layer: forward with adapters on all
projections, the loss over the attention of every layer and head, backward to adapters and soft tokens, clipping and AdamW. kvglass takes
--prompts prompts a step. PyTorch runs twice: one prompt a step, as the reference of the method's training does, and as many as kvglass. Printed
are seconds a prompt, the ratios, and the rate of kvglass's step as a share of a large matrix product's (torch, float32, the same threads,
before and after each measurement of kvglass). About two minutes.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import torch

import reference

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
T, RANK, SCALE = 32, 8, 4.0


# ---- PyTorch -----------------------------------------------------------------------------------------------------


class TorchStep:
    """The same step by autograd. Truth is made up: its values cost nothing."""

    def __init__(self, model, n_prompt, length):
        self.model, self.shape, self.on = model, (n_prompt, length), False
        ids = torch.tensor([[(i * 7919 + k * 104729) % 40000 + 100 for i in range(length)] for k in range(n_prompt)])
        with torch.no_grad():
            kept = model.model(input_ids=ids, use_cache=True).past_key_values
        self.cache = [(layer.keys.clone(), layer.values.clone()) for layer in kept.layers]
        config = model.config
        self.truth = torch.rand(config.num_hidden_layers, n_prompt, config.num_attention_heads, length)
        self.truth /= self.truth.sum(-1, keepdim=True)
        self.soft = torch.randn(T, config.hidden_size).mul(0.1).requires_grad_()
        self.adapters = {}
        self.map = [None] * config.num_hidden_layers
        for index, layer in enumerate(model.model.layers):
            layer.self_attn.register_forward_hook(self.keep_attention(index))
            last = index == config.num_hidden_layers - 1
            for owner, projections in ((layer.self_attn, "q k" if last else "q k v o"), (layer.mlp, "" if last else "gate up down")):
                for projection in projections.split():
                    self.adapt(index, projection, getattr(owner, projection + "_proj"))
        self.optimizer = torch.optim.AdamW([self.soft, *(x for pair in self.adapters.values() for x in pair)], lr=1e-3, weight_decay=0)

    def adapt(self, index, projection, linear):
        a = (torch.rand(RANK, linear.in_features) * 2 - 1).div(linear.in_features**0.5).requires_grad_()
        b = torch.zeros(linear.out_features, RANK).requires_grad_()
        self.adapters[index, projection] = a, b
        linear.register_forward_hook(lambda module, inputs, output: output + SCALE * ((inputs[0] @ a.T) @ b.T) if self.on else output)

    def keep_attention(self, index):
        def keep(module, inputs, output):
            if self.on:
                self.map[index] = output[1][..., : self.shape[1]].mean(2)

        return keep

    def run(self):
        from transformers import DynamicCache

        n_prompt, length = self.shape
        begin = time.perf_counter()
        cache = DynamicCache()
        for layer, (key, value) in enumerate(self.cache):
            cache.update(key, value, layer)
        self.on = True
        self.model.model(inputs_embeds=self.soft.expand(n_prompt, -1, -1), past_key_values=cache, use_cache=True,
            position_ids=torch.arange(length, length + T).expand(n_prompt, -1))
        self.on = False
        s = torch.stack(self.map)
        s = s / s.sum(-1, keepdim=True)
        loss = (self.truth * (torch.log(self.truth + 1e-12) - torch.log(s + 1e-12))).sum(-1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for group in self.optimizer.param_groups for p in group["params"]], 1.0)
        self.optimizer.step()
        return time.perf_counter() - begin


# ---- kvglass -----------------------------------------------------------------------------------------------------


class KvglassSteps:
    """kvglass train on as many prompts of that length; their targets are made in the first round and kept."""

    def __init__(self, model, n_prompt, length, threads, folder):
        self.log = os.path.join(folder, "speed.safetensors.log")
        prompts = os.path.join(folder, "prompts.jsonl")
        words = "the harbour office keeps a ledger of every boat that enters this bay and an old clerk reads it".split()
        with open(prompts, "w", encoding="utf-8") as f:
            for k in range(n_prompt):
                print(json.dumps({"prompt": " ".join(words[(i * i + k) % len(words)] for i in range(length)), "response": "The clerk reads it."}), file=f)
        program = os.path.join(HERE, "..", "..", "build", "kvglass")
        self.command = [program, "train", "-m", model, "--prompts", prompts, "-o", self.log.removesuffix(".log"), "--raw", "--batch", str(n_prompt),
            "--threads", str(threads), "--target-folder", os.path.join(folder, "targets"), "-q", "--steps"]

    def run(self, steps):
        subprocess.run([*self.command, str(steps)], check=True)
        with open(self.log, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        self.tokens = lines[-1]["tokens"]
        return [line["seconds"] for line in lines[1:]]  # the first step also reads the files


# ---- rates -------------------------------------------------------------------------------------------------------


def product_rate(side=2048, times=3):
    a, b = torch.rand(side, side), torch.rand(side, side)
    a @ b
    begin = time.perf_counter()
    for _ in range(times):
        a @ b
    return times * 2 * side**3 / (time.perf_counter() - begin)


def step_flops(config, n_prompt, n_tokens):
    """Products of one step: every weight forward and for the input's gradient; adapters forward and three times backward as often; attention's
    logits and outputs forward, logits again, dP and dQ backward."""
    d, heads, kv = config.hidden_size // config.num_attention_heads, config.num_attention_heads, config.num_key_value_heads
    width, ff, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    sides = {"q": (width, heads * d), "k": (width, kv * d), "v": (width, kv * d), "o": (heads * d, width), "gate": (width, ff), "up": (width, ff),
        "down": (ff, width)}
    every = [sides[p] for _ in range(layers - 1) for p in sides] + [sides["q"], sides["k"]]
    weights = 2 * 2 * sum(i * o for i, o in every)
    adapters = 3 * 2 * RANK * sum(i + o for i, o in every)
    attention = (5 * (layers - 1) + 3) * 2 * heads * d * n_tokens / n_prompt
    return T * n_prompt * (weights + adapters + attention)


def measure(args, config, ours, single, batched):
    """One round: (ratio to one prompt a step, ratio to as many as ours, share of a product)."""
    before = product_rate()
    mine = statistics.median(ours.run(4)) / args.prompts
    product = (before + product_rate()) / 2
    one = statistics.median(single.run() for _ in range(4))
    many = statistics.median(batched.run() for _ in range(2)) / args.prompts
    share = step_flops(config, args.prompts, ours.tokens) / (mine * args.prompts) / product
    print(f"seconds a prompt: kvglass {mine:.4f} ({ours.tokens // args.prompts} tokens), PyTorch one at a time {one:.4f} ({args.length} tokens), {args.prompts} at "
        f"once {many:.4f}; {100 * share:.0f} % of a product's {product / 1e9:.0f} GFLOP/s", flush=True)
    return one / mine, many / mine, share


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--rounds", type=int, default=3)
    parse.add_argument("--threads", type=int, default=2)
    parse.add_argument("--prompts", type=int, default=8)
    parse.add_argument("--length", type=int, default=420)
    args = parse.parse_args()
    reference.quiet()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(True)
    folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kvglass")
    model = reference.load_gguf(folder, MODEL).requires_grad_(False)
    single, batched = TorchStep(model, 1, args.length), TorchStep(model, args.prompts, args.length)
    with tempfile.TemporaryDirectory() as scratch:
        ours = KvglassSteps(os.path.join(folder, MODEL), args.prompts, args.length, args.threads, scratch)
        ours.run(2)
        single.run()
        batched.run()
        print("ready", flush=True)
        rounds = [measure(args, model.config, ours, single, batched) for _ in range(args.rounds)]
    middle = [statistics.median(column) for column in zip(*rounds)]
    print(f"medians: {middle[0]:.2f} times as fast as PyTorch with one prompt a step, {middle[1]:.2f} times as with {args.prompts}, {100 * middle[2]:.0f} % of a "
        "matrix product")


if __name__ == "__main__":
    main()
