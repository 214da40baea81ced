#!/usr/bin/env python3
"""Judges modules by held-out prompts (make_prompts.py --held-out), beside SnapKV and untrained lookahead tokens.

    judge.py -m MODEL -l MODULES.safetensors --work FOLDER HELD_OUT/*.jsonl

Every prompt is run once (kvglass run, kept in FOLDER as a capture) and compared (kvglass compare); tables follow by kind, by length and
by layer, and the prompts where the modules lose. With --answers every prompt is also continued from the cache that each method keeps, and what
that does to the response follows by kind. An interrupted run goes on where it was.
"""
import argparse
import collections
import json
import pathlib
import statistics
import subprocess
import sys

METHODS = ("snapkv", "untrained", "lookahead")
BUDGETS = (64, 128, 256, 512)
RESPONSE_TOKENS = 64
ANSWER_BUDGET = 128


def call(*words):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout


def measure(args, name, prompt):
    """One prompt's figures: {"n", "kl": {method}, "overlap"/"mass": {budget: {method}}, "layers": {method: [kl]}, "answers": [result]}."""
    kept = args.work / f"{name}.json"
    if kept.exists() and ((before := json.loads(kept.read_text())).get("answers") or not args.answers):
        return before
    text, capture = args.work / "prompt.txt", args.work / "prompt.kvg"
    text.write_text(prompt, encoding="utf-8")
    evict = ["--evict", ",".join(("oracle", *METHODS)), "-b", ANSWER_BUDGET] if args.answers else []
    ran = json.loads(call(args.kvglass, "run", "-m", args.model, "-l", args.modules, "-f", text, "-n", RESPONSE_TOKENS, "--methods",
        ",".join(METHODS), "--threads", args.threads, "-o", capture, "--json", "-q", *evict))
    budgets = [b for b in BUDGETS if b < ran["n_prompt"]]
    found = json.loads(call(args.kvglass, "compare", capture, "--json", "--per-head", "--budget", ",".join(map(str, budgets))))
    out = {"n": ran["n_prompt"], "kl": {m: found["methods"][m]["kl"] for m in METHODS},
        "layers": {m: [statistics.fmean(heads) for heads in found["methods"][m]["per_head"]["kl"]] for m in METHODS}}
    out["answers"] = ran["eviction"]["results"] if args.answers else []
    for what in ("overlap", "mass"):
        out[what] = {str(b["budget"]): {m: b["methods"][m][what] for m in (*METHODS, "oracle")} for b in found["budgets"]}
    kept.write_text(json.dumps(out))
    return out


def mean(values):
    values = [v for v in values if v is not None]
    return statistics.fmean(values) if values else float("nan")


def row(label, results):
    cells = ["/".join(f"{mean(r['kl'][m] for r in results):.3f}" for m in METHODS)]
    for budget in map(str, BUDGETS):
        at = [r for r in results if budget in r["overlap"]]
        for what in ("overlap", "mass"):
            cells.append("/".join(f"{100 * mean(r[what][budget][m] for r in at):.0f}" for m in METHODS) if at else "-")
    print(f"{label:<22} {len(results):>3}  " + "  ".join(f"{c:<{17 if i == 0 else 8}}" for i, c in enumerate(cells)))


def head(what):
    print(f"\n{what + ', prompts':<26}  {'KL':<17}  " + "  ".join(f"{'found':<8}  {'mass':<8}" for b in BUDGETS))
    print(f"{'SnapKV/untrained/modules':<26}  {'':<17}  " + "  ".join(f"{'at ' + str(b):<18}" for b in BUDGETS))


def answers(label, results):
    """Continued from the evicted cache: how far the next token's distribution moves, where its most likely token stays, when the text parts."""
    at = {m: [a for r in results for a in r["answers"] if a["method"] == m] for m in ("oracle", *METHODS)}
    kl = "/".join(f"{mean(a['kl']['mean'] for a in at[m]):.2f}" for m in at)
    same = "/".join(f"{100 * mean(a['same_top'] for a in at[m]):.0f}" for m in at)
    apart = "/".join(f"{statistics.median(map(parted, at[m])):.0f}" for m in at)
    print(f"{label:<22} {len(results):>3}  {kl:<22}  {same:<14}  {apart}")


def parted(answer):
    """The token at which the text parts from the whole cache's; its length where it does not."""
    return answer["n_response"] if answer["first_different"] is None else answer["first_different"]


def losses(all_results):
    """Every prompt, budget and measure in which the modules are not the best of the three."""
    for name, r in all_results.items():
        for other in METHODS[:2]:
            if not r["kl"]["lookahead"] < r["kl"][other]:
                print(f"{name} ({r['n']} tokens): KL {r['kl']['lookahead']:.3f}, {other} {r['kl'][other]:.3f}")
            for what in ("overlap", "mass"):
                for budget, m in r[what].items():
                    if not m["lookahead"] >= m[other]:
                        print(f"{name} ({r['n']} tokens): {what} at {budget} {100 * m['lookahead']:.1f} %, {other} {100 * m[other]:.1f} %")


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("-m", "--model", required=True)
    parse.add_argument("-l", "--modules", required=True)
    parse.add_argument("--work", type=pathlib.Path, required=True)
    parse.add_argument("--answers", action="store_true", help="continue every prompt from the evicted caches too (three times as long)")
    parse.add_argument("--kvglass", default="build/kvglass")
    parse.add_argument("--threads", type=int, default=0)
    parse.add_argument("files", type=pathlib.Path, nargs="+")
    args = parse.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    by_kind, by_length, everything = collections.defaultdict(list), collections.defaultdict(list), {}
    for file in args.files:
        for i, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
            prompt = json.loads(line)
            if "length" not in prompt:  # validation.jsonl, which a training was watched with
                continue
            name = f"{file.stem}-{i}"
            print(name, file=sys.stderr)
            everything[name] = result = measure(args, name, prompt["prompt"])
            by_kind[prompt["kind"]].append(result)
            if prompt["kind"] != "news":
                by_length[prompt["length"]].append(result)
    head("kind")
    for kind, results in by_kind.items():
        row(kind, results)
    head("length")
    for length, results in sorted(by_length.items()):
        row(f"about {length} tokens", results)
    print("\nKL by layer (SnapKV/untrained/modules)")
    n_layer = len(result["layers"]["snapkv"])
    for layer in range(n_layer):
        print(f"{layer:>3}  " + "/".join(f"{mean(r['layers'][m][layer] for r in everything.values()):.3f}" for m in METHODS))
    if args.answers:
        print(f"\n{f'answers at {ANSWER_BUDGET}, prompts':<26}  {'KL of the next token':<22}  {'same top, %':<14}  parts at token (median)")
        print("truth/SnapKV/untrained/modules")
        for kind, results in by_kind.items():
            answers(kind, results)
    print("\nwhere the modules are not the best")
    losses(everything)


if __name__ == "__main__":
    main()
