#!/usr/bin/env python3
"""
What a user would run instead, timed turn by turn with kvglass on this machine: not a test, for the closing note and the README.

    build/golden/bin/python tests/golden/speed.py [--rounds 5] [--threads 2] [--length 512 2048]

Every measurement is a process of its own; the programs take turns, so that a slow minute hits all of them. Printed are medians
over the rounds and kvglass's ratio to each reference in the same round (its median, above 1 is faster).

    transformers   prefill without attention output (sdpa), float32, on the weights of the file
    attentions     the same with attention output (eager): what measuring with transformers costs; only with --attentions
    llama.cpp      prefill and decode of the same file
    kvglass        kvglass bench: prefill with SnapKV captured, decode with truth captured
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
N_DECODE = 64


def token_ids(n):
    return [(i * 7919) % 40000 + 100 for i in range(n)]


def run_transformers(model, n, threads, attentions):
    import torch
    from transformers import AutoModelForCausalLM, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    kind = "eager" if attentions else "sdpa"
    folder, name = os.path.split(model)
    net = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32, attn_implementation=kind).eval()
    ids = torch.tensor([token_ids(n)])
    with torch.no_grad():
        net(ids[:, :64])
        begin = time.perf_counter()
        net(ids, use_cache=True, output_attentions=attentions, logits_to_keep=1)
        return {"prefill_ms": 1e3 * (time.perf_counter() - begin)}


def run_llama(model, n, threads):
    from llama_cpp import Llama

    net = Llama(model, n_ctx=n + N_DECODE + 64, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False)
    ids = token_ids(n)
    net.eval(ids[:64])
    net.reset()
    begin = time.perf_counter()
    net.eval(ids)
    middle = time.perf_counter()
    for token in token_ids(N_DECODE):
        net.eval([token])
    end = time.perf_counter()
    return {"prefill_ms": 1e3 * (middle - begin), "decode_per_s": N_DECODE / (end - middle)}


def run_kvglass(model, n, threads):
    program = os.path.join(HERE, "..", "..", "build", "kvglass")
    said = subprocess.run(
        [program, "bench", "-m", model, "--length", str(n), "--threads", str(threads), "--json"], check=True, capture_output=True
    ).stdout
    [at] = json.loads(said)["lengths"]
    return {
        "prefill_ms": at["prefill_capture"]["ms"],
        "decode_per_s": at["decode_capture"]["tokens_per_s"],
        "peak_mb": at["peak_memory_bytes"] / 2**20,
    }


RUNNERS = {
    "transformers": lambda a, n: run_transformers(a.model, n, a.threads, False),
    "attentions": lambda a, n: run_transformers(a.model, n, a.threads, True),
    "llama.cpp": lambda a, n: run_llama(a.model, n, a.threads),
}


def child(args, what, n):
    words = [sys.executable, __file__, "--one", what, "--length", str(n), "--threads", str(args.threads), "--model", args.model]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(args, n):
    names = ["transformers", "llama.cpp"] + (["attentions"] if args.attentions else [])
    rounds = []
    for _ in range(args.rounds):
        one = {name: child(args, name, n) for name in names}
        one["kvglass"] = run_kvglass(args.model, n, args.threads)
        rounds.append(one)

    def median(name, key):
        return statistics.median(r[name][key] for r in rounds)

    print(f"\n{n} tokens, {args.threads} threads, medians of {args.rounds} rounds")
    for name in ["kvglass", *names]:
        line = f"  {name:14} prefill {median(name, 'prefill_ms'):8.0f} ms  {1e3 * n / median(name, 'prefill_ms'):7.0f} tokens/s"
        if "decode_per_s" in rounds[0][name]:
            line += f"   decode {median(name, 'decode_per_s'):6.1f} tokens/s"
        line += f"   peak {median(name, 'peak_mb'):6.0f} MB"
        if name != "kvglass":
            ratio = statistics.median(r[name]["prefill_ms"] / r["kvglass"]["prefill_ms"] for r in rounds)
            line += f"   kvglass is {ratio:.2f}x in prefill"
            if "decode_per_s" in rounds[0][name]:
                ratio = statistics.median(r["kvglass"]["decode_per_s"] / r[name]["decode_per_s"] for r in rounds)
                line += f", {ratio:.2f}x in decode"
        print(line, flush=True)


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default=os.path.join(cache, "kvglass", "SmolLM2-135M-Instruct.Q4_1.gguf"))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--length", type=int, nargs="+", default=[512, 2048])
    p.add_argument("--attentions", action="store_true")
    p.add_argument("--one", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one:
        result = RUNNERS[args.one](args, args.length[0])
        result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))
        return
    for n in args.length:
        compare(args, n)


if __name__ == "__main__":
    main()
