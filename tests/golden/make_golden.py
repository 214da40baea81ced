#!/usr/bin/env python3
"""
Golden files of the tests: what the reference implementations compute on the same weights.

    python3 -m venv build/golden
    build/golden/bin/pip install -r tests/golden/requirements.txt
    build/golden/bin/python tests/golden/make_golden.py sample     # tests/golden/smollm2/, a few minutes
    build/golden/bin/python tests/golden/make_golden.py tiny       # tests/golden/tiny/, models and numbers, seconds

The sample model must be in the cache (make model). Seeds are fixed and one thread is used, so a second run on the same
machine and versions gives the same numbers. make test reads the files and needs none of this.
"""

import os
import sys

import numpy as np
import torch
from safetensors.numpy import save_file

import counter
import reference
import tiny

HERE = os.path.dirname(os.path.abspath(__file__))
SEED, N_LOOKAHEAD, RANK, SCALE = 7, 32, 8, 4.0  # of the random modules
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"

CHAT = """The keeper counted twelve ships on Monday, nine on Tuesday and fifteen on Wednesday. On Thursday there was fog, and she
counted none, but she heard two of them by their horns.

Which day had the most ships, and how many were there on Thursday?"""

RAW = """The bay is shaped like a boot. Deep water runs along the eastern side, under the cliffs, where the grain ships used to lie. The
western side is shallow and warm and full of eel grass, and only the oyster punts go there. Between the two lies a bank of
gravel called the Sleeper, which moves a little every winter. A boat that does not know where the Sleeper lies this year will
find out quickly. For that reason the first rule of the office, painted in white on the door, is that no stranger passes the
outer buoy without a pilot, and the second rule is that the pilot is paid before the fish is sold.

The first rule was made after the winter of 1871, when three ships ran aground in one week. The second rule was made by the pilots.
Nobody has ever asked for a third rule, although the clerk once proposed one about dogs. It was read aloud, discussed for
an hour, and put into the drawer where the old charts are kept, together with a bill for 14 shillings and 6 pence that nobody
wanted to pay, a list of the names of all the boats that were built here since the stone pier was finished, and half of a
letter from the lighthouse board, which begins with the words"""

MIXED = """def 面(n):  # 🍜🍜 "noodles"
\treturn [x**2 for x in range(n) if x % 7 != 0]

Ünïcödé, ½ and ﬁ: 老周的面馆在河边，只有六张桌子。  3.14159  <b>&amp;</b>\r\n<|im_start|>👩‍🚀 naïve café"""


def some_logits(rows):
    """Of each row: the 16 largest and every 97th."""
    ids, values = [], []
    for row in rows:
        pick = torch.cat([torch.topk(row, 16).indices, torch.arange(0, len(row), 97)])
        ids.append(pick.numpy().astype(np.int32))
        values.append(row[pick].numpy())
    return np.stack(ids), np.stack(values)


def measure(model, ids, ends, n_response, soft, lora):
    n = len(ids)
    w = min(32, n)
    picked = sorted({0, 1, n // 2, n - 2, n - 1})
    watch, logits, cache = reference.prefill(model, ids, [("snapkv", range(n - w, n)), ("tova", [n - 1])], picked)
    values = reference.value_norms(model, cache, n)
    keys = reference.key_norms(cache, n)
    response, margins, later, truth = reference.respond(model, n, cache, logits[-1], n_response, ends, None)
    m = len(response)
    out = {
        "tokens.prompt": np.array(ids, np.int32),
        "tokens.response": np.array(response, np.int32),
        "response.margin": np.array(margins, np.float32),
        "rows.snapkv": watch.mean("snapkv", w),
        "rows.tova": watch.mean("tova", 1),
        "rows.truth": truth.mean("truth", m),
        "rows.truth_even": truth.mean("truth_even", (m + 1) // 2),
        "rows.lookahead": reference.lookahead(model, ids, soft, lora, SCALE),
        "score.keynorm": keys,
        **values,
        "logits.row": np.array(picked + [n + m - 1], np.int32),
    }
    out["logits.id"], out["logits.value"] = some_logits([*logits, later[-1]])
    return out


def shape_of(model):
    layer, c = model.model.layers[0], model.config
    owner = dict(q=layer.self_attn, k=layer.self_attn, v=layer.self_attn, o=layer.self_attn, gate=layer.mlp, up=layer.mlp, down=layer.mlp)
    shape = {p: tuple(getattr(o, p + "_proj").weight.shape) for p, o in owner.items()}
    return dict(shape, n_layer=c.num_hidden_layers, n_embd=c.hidden_size)


def random_modules(model):
    """Soft tokens of the embedding's own size; adapters that change every projection by about a third."""
    std = float(model.model.embed_tokens.weight.std())
    amplitude = float(np.float32(std * 3**0.5))
    soft, lora = counter.modules(SEED, shape_of(model), N_LOOKAHEAD, RANK, amplitude, 0.0625)
    return soft, lora, {"module_seed": str(SEED), "module_rank": str(RANK), "module_soft_amplitude": float(amplitude).hex()}


def save(path, out, meta):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    import tokenizers
    import transformers

    meta = dict(meta, made_by=f"make_golden.py, transformers {transformers.__version__}, torch {torch.__version__}, tokenizers {tokenizers.__version__}")
    save_file({k: np.ascontiguousarray(v) for k, v in out.items()}, path, meta)
    os.chmod(path, 0o644)
    margins = out["response.margin"]
    print(f"{os.path.relpath(path, HERE)}: {os.path.getsize(path)} bytes, prompt {len(out['tokens.prompt'])}, "
          f"response {len(out['tokens.response'])}, least margin {margins.min():.4f}")


def sample():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(cache, "kvglass")
    tok = reference.SmolLMTokenizer(os.path.join(folder, MODEL))
    model = reference.load_gguf(folder, MODEL)
    soft, lora, meta = random_modules(model)
    prompts = {
        "chat": (CHAT, tok.chat(CHAT)[0], "chat", 48, ()),
        "raw": (RAW, tok.encode(RAW, True), "raw", 40, ("rows.truth_even", "rows.tova", "score.keynorm")),
        "mixed": (MIXED, tok.encode(MIXED, True), "raw", 40, ("rows.truth_even", "rows.tova", "score.keynorm")),
    }
    for name, (text, ids, mode, n_response, drop) in prompts.items():
        out = measure(model, ids, {tok.end}, n_response, soft, lora)
        for key in [*drop, *(k for k in out if k.startswith("value."))]:
            del out[key]
        out["text"] = np.frombuffer(text.encode(), np.uint8)
        save(os.path.join(HERE, "smollm2", name + ".safetensors"), out, dict(meta, mode=mode))


def tiny_models():
    for name in tiny.MODELS:
        path = os.path.join(HERE, "tiny", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write = tiny.write_gguf if name.endswith(".gguf") else tiny.write_folder
        model, tok, ends = write(path, name)
        for folder, _, files in os.walk(path):
            for file in files:
                os.chmod(os.path.join(folder, file), 0o644)
        reference.check_file(path, model, tok, ends)
        soft, lora, meta = random_modules(model)
        ids = [int(i) for i in counter.bits(SEED, name, 90) % np.uint64(tok.get_vocab_size() - 5)]
        out = measure(model, ids, set(ends), 24, soft, lora)
        text = tiny.TEXT.replace("lens", "lens (12345 g, 🔦)") + "\n\n  It's 1,000 Ünïcödé 面 miles.<|im_end|>"
        out["text"] = np.frombuffer(text.encode(), np.uint8)
        out["text.ids"] = np.array(tok.encode(text, add_special_tokens=False).ids, np.int32)
        save(os.path.join(HERE, "tiny", name.replace(".", "-") + ".golden.safetensors"), out, meta)


if __name__ == "__main__":
    if sys.argv[1:] not in (["sample"], ["tiny"]):
        sys.exit(__doc__)
    reference.quiet()
    {"sample": sample, "tiny": tiny_models}[sys.argv[1]]()
