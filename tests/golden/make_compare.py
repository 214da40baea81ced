#!/usr/bin/env python3
"""Golden comparison of a small random capture, by the protocol's definition (PyPI: numpy, safetensors).

    python3 tests/golden/make_compare.py tests/golden/compare

writes compare.kvg, and compare.json: for several settings every number that `kvglass compare --json --per-head` prints. Nothing here is
shared with the program: sets are sorted anew for every budget, everything is float64, loops are written as the definition reads.
"""
import json
import math
import sys

import numpy as np
from safetensors.numpy import save_file

N_LAYER, N_HEAD, N_KV, N, M = 3, 6, 2, 90, 9
GROUP = N_HEAD // N_KV


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def make_maps(rng):
    """Response rows with their odd and even halves; estimates that know them more or less well; some exact ties."""
    base = rng.normal(0, 1.5, (N_LAYER, N_HEAD, N))
    base[..., 0] += 4
    rows = softmax(base[:, :, None, :] + rng.normal(0, 1, (N_LAYER, N_HEAD, M, N))) * 0.8
    maps = {
        "rows.truth": rows.mean(2),
        "rows.truth_even": rows[:, :, 0::2].mean(2),
        "rows.snapkv": softmax(base + rng.normal(0, 1.2, base.shape)) * 0.9,
        "rows.lookahead": softmax(base + rng.normal(0, 0.5, base.shape)) * 0.95,
        "rows.h2o": softmax(base * 0.5 + rng.normal(0, 1, base.shape)) * 0.9,
        "rows.tova": softmax(base + rng.normal(0, 2, base.shape)),
        "score.keynorm": -np.abs(rng.normal(9, 2, (N_LAYER, N_KV, N))),
    }
    maps["rows.lookahead"] = np.round(maps["rows.lookahead"] * 512) / 512  # ties, zeros among them
    maps["score.mine"] = np.round(rng.normal(0, 1, (N_LAYER, N_KV, N)) * 4) / 4
    return {k: v.astype(np.float32) for k, v in maps.items()}


def pooled(row, pool, kernel):
    half = kernel // 2
    out = []
    for j in range(len(row)):
        inside = row[max(0, j - half): j + half + 1]
        out.append(max(inside) if pool == "max" else sum(inside) / kernel)
    return np.array(out)


def rows_of(maps, name):
    """(N_LAYER, N_HEAD, N) float64 of a method that is measured from rows."""
    if name == "observed":
        return maps["rows.h2o"].astype(np.float64) * N / (N - np.arange(N))
    if name == "oracle":
        return maps["rows.truth"].astype(np.float64)
    return maps["rows." + name].astype(np.float64)


def halves(maps):
    truth, even = (maps[k].astype(np.float64) for k in ("rows.truth", "rows.truth_even"))
    odd = (M * truth - math.ceil(M / 2) * even) / (M // 2)
    return even, odd


def kv_score(maps, name, layer, g, window, pool, kernel):
    """Scores of positions 0 .. N - window - 1 of one KV head."""
    heads = range(g * GROUP, (g + 1) * GROUP)
    if "score." + name in maps:
        return maps["score." + name][layer, g, : N - window].astype(np.float64)
    if name == "recency":
        return np.arange(N - window, dtype=np.float64)
    if name == "ceiling":
        return halves(maps)[1][layer, heads, : N - window].mean(0)
    if name == "tova":
        heads = range(N_HEAD)
    score = rows_of(maps, name)[layer, heads].mean(0)[: N - window]
    return score if pool == "none" or name == "oracle" else pooled(score, pool, kernel)


def best(score, k):
    """The k highest, lower position first among equals. float32: what the program ranks by."""
    score = score.astype(np.float32)
    return set(sorted(range(len(score)), key=lambda j: (-score[j], j))[:k])


def average_ranks(x):
    x = x.astype(np.float32)
    return np.array([(x > v).sum() + ((x == v).sum() - 1) / 2 for v in x])


def spearman(a, b):
    ra, rb = average_ranks(a), average_ranks(b)
    ra, rb = ra - ra.mean(), rb - rb.mean()
    scale = math.sqrt((ra**2).sum() * (rb**2).sum())
    return (ra * rb).sum() / scale if scale else None


def kl(p, q):
    p, q = p / p.sum(), q / q.sum()
    return float((p * (np.log(p + 1e-12) - np.log(q + 1e-12))).sum())


def head_numbers(maps, name, layer, g, s, budgets):
    sink, window = s["sink"], s["window"]
    heads = range(g * GROUP, (g + 1) * GROUP)
    truth = rows_of(maps, "oracle") if name != "ceiling" else halves(maps)[0]
    p = truth[layer, heads].mean(0)[sink: N - window]
    score = kv_score(maps, name, layer, g, window, s["pool"], s["kernel"])[sink:]
    out = {"spearman": spearman(score, p), "budgets": []}
    out["area"] = np.mean([p[list(best(score, k))].sum() / p.sum() for k in range(1, len(p) + 1)])
    for b in budgets:
        k = min(b - sink - window, len(p))
        mine, ideal = best(score, k), best(p, k)
        mass = p[list(mine)].sum() / p.sum()
        out["budgets"].append([len(mine & ideal) / k, mass, mass / (p[list(ideal)].sum() / p.sum())])
    return out


def layer_kl(maps, name, layer):
    if name == "ceiling":
        even, odd = halves(maps)
        return [kl(even[layer, h], np.maximum(odd[layer, h], 0)) for h in range(N_HEAD)]
    if name in ("recency", "keynorm", "mine"):
        return None
    return [kl(rows_of(maps, "oracle")[layer, h], rows_of(maps, name)[layer, h]) for h in range(N_HEAD)]


def compare(maps, s):
    methods = ["oracle", "snapkv", "lookahead", "recency", "keynorm", "h2o", "observed", "tova", "ceiling", "mine"]
    out = {"sink": s["sink"], "window": s["window"], "pool": s["pool"], "kernel": s["kernel"], "methods": {},
           "budgets": [{"budget": b, "methods": {}} for b in s["budgets"]]}
    for name in methods:
        heads = [[head_numbers(maps, name, l, g, s, s["budgets"]) for g in range(N_KV)] for l in range(N_LAYER)]
        table = lambda f: [[f(h) for h in row] for row in heads]
        mean = lambda t: None if t is None else float(np.mean(t))
        divergence = [layer_kl(maps, name, l) for l in range(N_LAYER)]
        divergence = None if divergence[0] is None else divergence
        out["methods"][name] = {"kl": mean(divergence), "kl_heads": divergence, "spearman": mean(table(lambda h: h["spearman"])),
                                "area": mean(table(lambda h: h["area"]))}
        for i, b in enumerate(out["budgets"]):
            b["methods"][name] = {}
            for k, what in enumerate(("overlap", "mass", "mass_ratio")):
                t = table(lambda h: float(h["budgets"][i][k]))
                b["methods"][name][what] = mean(t)
                b["methods"][name][what + "_heads"] = t
    return out


def rounded(x):
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    if isinstance(x, list):
        return [rounded(v) for v in x]
    return round(x, 9) if isinstance(x, float) else x


def main():
    rng = np.random.default_rng(20260311)
    maps = make_maps(rng)
    pieces = [(" w%d" % j).encode() for j in range(N + M)]
    tokens = {
        "tokens.prompt": np.arange(N, dtype=np.int32), "tokens.response": np.arange(M, dtype=np.int32),
        "tokens.text": np.frombuffer(b"".join(pieces), dtype=np.uint8),
        "tokens.offset": np.cumsum([0] + [len(p) for p in pieces]).astype(np.int32),
    }
    meta = {"kvglass.version": "1", "kvglass.n_layer": str(N_LAYER), "kvglass.n_head": str(N_HEAD), "kvglass.n_kv_head": str(N_KV),
            "kvglass.window": "16", "kvglass.model_name": "random"}
    save_file({**maps, **tokens}, sys.argv[1] + ".kvg", meta)
    settings = [
        {"sink": 4, "window": 32, "pool": "none", "kernel": 7, "budgets": [37, 48, 64, 90, 128]},
        {"sink": 4, "window": 16, "pool": "avg", "kernel": 7, "budgets": [32, 64]},
        {"sink": 0, "window": 8, "pool": "max", "kernel": 5, "budgets": [9, 16, 40]},
        {"sink": 2, "window": 0, "pool": "max", "kernel": 1, "budgets": [3, 89]},
    ]
    with open(sys.argv[1] + ".json", "w") as f:
        json.dump(rounded([compare(maps, s) for s in settings]), f, separators=(",", ":"))
        f.write("\n")


main()
