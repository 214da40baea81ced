"""Tiny random models of every architecture in both file formats, written with the formats' own packages.

Weights come from counter.py. A model in a Hugging Face folder is saved by transformers; one in a GGUF is written by the gguf package,
its blocks quantised by that package or, for K-quants, by ggml itself (the library inside llama-cpp-python). What the reference then
runs on is what the file holds: the stored values, unpacked by the gguf package.
"""

import ctypes
import glob
import json
import os
import shutil

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T

import counter

SEED = 20260310

# Every size is chosen so that mistakes show: heads, KV heads, layers and widths all differ, Qwen3's head_dim is not n_embd / n_head,
# and Llama's RoPE scaling starts at 64 positions, so the prompt of 90 tokens crosses all three of its bands.
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS = {
    # folder or file: architecture, sizes, storage
    "llama-hf": dict(arch="llama", n_layer=3, n_embd=64, n_head=4, n_kv=2, head_dim=16, n_ff=112, rope=LLAMA3_ROPE, tied=True, dtype="bfloat16", old_config=True),
    "qwen2-hf": dict(arch="qwen2", n_layer=2, n_embd=60, n_head=6, n_kv=2, head_dim=10, n_ff=88, tied=False, dtype="float16"),
    "qwen3-hf": dict(arch="qwen3", n_layer=3, n_embd=48, n_head=3, n_kv=1, head_dim=24, n_ff=80, tied=True, dtype="float32", shards=3, old_config=True),
    "llama.gguf": dict(arch="llama", n_layer=2, n_embd=256, n_head=4, n_kv=2, head_dim=64, n_ff=256, rope=LLAMA3_ROPE, tied=False,
        types=dict(q=T.Q4_K, k=T.Q5_K, v=T.Q6_K, o=T.Q5_K, gate=T.Q4_K, up=T.Q6_K, down=T.Q4_K, embd=T.Q6_K, out=T.Q4_K)),
    "qwen2.gguf": dict(arch="qwen2", n_layer=2, n_embd=64, n_head=4, n_kv=2, head_dim=16, n_ff=96, tied=True,
        types=dict(q=T.Q4_0, k=T.Q5_0, v=T.Q5_1, o=T.Q4_1, gate=T.Q8_0, up=T.F16, down=T.Q5_0, embd=T.Q8_0)),
    "qwen3.gguf": dict(arch="qwen3", n_layer=3, n_embd=64, n_head=6, n_kv=3, head_dim=32, n_ff=96, tied=False,
        types=dict(q=T.BF16, k=T.F32, v=T.Q4_0, o=T.Q5_1, gate=T.Q4_1, up=T.Q5_0, down=T.BF16, embd=T.F16, out=T.F32)),
}
PRE = {"llama": "llama-bpe", "qwen2": "qwen2", "qwen3": "qwen2"}
SPECIAL = {
    "llama": ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "qwen3": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
}
ENDS = {"llama": ["<|end_of_text|>", "<|eot_id|>"], "qwen2": ["<|im_end|>", "<|endoftext|>"], "qwen3": ["<|im_end|>", "<|endoftext|>"]}
TEXT = """The lens was for the lighthouse on Gannet Head. The keeper there had written to the makers three years before, because the
old lamp could be seen for only six miles and the rocks begin at five. He had paid for the new one himself, one coin at a time."""


def build_tokenizer(arch):
    """A byte-level BPE with the family's own pre-tokeniser regex and a few dozen merges learnt from TEXT."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    digits = r"\p{N}{1,3}" if arch == "llama" else r"\p{N}"
    regex = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tok = Tokenizer(models.BPE(ignore_merges=arch == "llama"))
    if arch != "llama":
        tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(regex), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=256 + 40, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tok.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL[arch]])
    return tok


def hf_config(m, n_vocab, ends):
    from transformers import LlamaConfig, Qwen2Config, Qwen3Config

    kind = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}[m["arch"]]
    return kind(
        vocab_size=n_vocab, hidden_size=m["n_embd"], intermediate_size=m["n_ff"], num_hidden_layers=m["n_layer"],
        num_attention_heads=m["n_head"], num_key_value_heads=m["n_kv"], head_dim=m["head_dim"], max_position_embeddings=512,
        rms_norm_eps=1e-5, tie_word_embeddings=m["tied"], rope_parameters=m.get("rope", {"rope_type": "default", "rope_theta": 20000.0}),
        eos_token_id=ends, bos_token_id=None,
    )


def hf_model(m, config):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()


def random_weights(name, model):
    """Attention sharp enough to differ from head to head, norm gains around 1, everything a function of the tensor's name."""
    state = {}
    for key, value in model.state_dict().items():
        shape = tuple(value.shape)
        if key.endswith("norm.weight"):
            state[key] = 1 + counter.array(SEED, name + "/" + key, shape, 0.4)
        elif len(shape) == 1:
            state[key] = counter.array(SEED, name + "/" + key, shape, 0.5)
        else:
            gain = 3.0 if key.endswith(("q_proj.weight", "k_proj.weight")) else 1.7
            state[key] = counter.array(SEED, name + "/" + key, shape, gain * (1.0 / shape[1]) ** 0.5)
    if model.config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    return state


def put(model, state):
    model.load_state_dict({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in state.items()}, strict=True)


# ---- Hugging Face folders ----


def rewrite_config(path):
    """RoPE as the published models of these families say it: rope_theta and rope_scaling, not transformers 5's rope_parameters."""
    with open(path) as f:
        config = json.load(f)
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype")
    with open(path, "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)


def write_folder(path, name):
    m = MODELS[name]
    shutil.rmtree(path, ignore_errors=True)
    tok = build_tokenizer(m["arch"])
    ends = [tok.token_to_id(s) for s in ENDS[m["arch"]]]
    model = hf_model(m, hf_config(m, tok.get_vocab_size(), ends))
    put(model, random_weights(name, model))
    dtype = getattr(torch, m["dtype"])
    model = model.to(dtype)
    model.config.dtype = dtype
    model.generation_config.eos_token_id = ends
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    model.save_pretrained(path, max_shard_size=size // m["shards"] if "shards" in m else "1GB")
    if m.get("old_config"):
        rewrite_config(os.path.join(path, "config.json"))
    tok.save(os.path.join(path, "tokenizer.json"))
    with open(os.path.join(path, "tokenizer_config.json"), "w") as f:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": ENDS[m["arch"]][0]}, f, indent=1)
    # the values the file holds, in float32
    put32 = hf_model(m, hf_config(m, tok.get_vocab_size(), ends))
    put32.load_state_dict({k: v.float() for k, v in model.state_dict().items()})
    return put32, tok, ends


# ---- GGUF ----


def ggml_quantize(x, kind):
    import llama_cpp

    folder = os.path.dirname(llama_cpp.__file__) + "/lib/"
    f = ctypes.CDLL(glob.glob(folder + "libggml-base.so*")[0]).ggml_quantize_chunk
    f.restype = ctypes.c_size_t
    f.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros((x.shape[0], x.shape[1] // block * size), np.uint8)
    assert f(int(kind), x.ctypes.data, out.ctypes.data, 0, x.shape[0], x.shape[1], None) == out.nbytes
    return out


def quantize(x, kind):
    x = np.ascontiguousarray(x, np.float32)
    return ggml_quantize(x, kind) if kind in (T.Q4_K, T.Q5_K, T.Q6_K) else gguf.quants.quantize(x, kind)


def permute(w, n_head):
    """Hugging Face's rotate-half rows to GGUF's adjacent pairs, as llama.cpp's converter does it."""
    return w.reshape(n_head, 2, w.shape[0] // n_head // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def unpermute(w, n_head):
    return w.reshape(n_head, w.shape[0] // n_head // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def rope_factors(m):
    """Llama 3's scaling as llama.cpp stores it: what each inverse frequency is divided by, one float32 a pair."""
    r, d = m["rope"], m["head_dim"]
    inv = 1.0 / r["rope_theta"] ** (np.arange(0, d, 2) / d)
    wave = 2 * np.pi / inv
    low, high = (r["original_max_position_embeddings"] / r[k] for k in ("low_freq_factor", "high_freq_factor"))
    smooth = (r["original_max_position_embeddings"] / wave - r["low_freq_factor"]) / (r["high_freq_factor"] - r["low_freq_factor"])
    mid = 1.0 / ((1 - smooth) / r["factor"] + smooth)
    return np.where(wave < high, 1.0, np.where(wave > low, r["factor"], mid)).astype(np.float32)


def write_gguf(path, name):
    m = MODELS[name]
    arch, tok = m["arch"], build_tokenizer(m["arch"])
    ends = [tok.token_to_id(s) for s in ENDS[arch]]
    n_vocab = tok.get_vocab_size()
    model = hf_model(m, hf_config(m, n_vocab, ends))
    state = random_weights(name, model)

    w = gguf.GGUFWriter(path, arch)
    w.add_name("kvglass test " + arch)
    w.add_block_count(m["n_layer"])
    w.add_context_length(512)
    w.add_embedding_length(m["n_embd"])
    w.add_feed_forward_length(m["n_ff"])
    w.add_head_count(m["n_head"])
    w.add_head_count_kv(m["n_kv"])
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(m["rope"]["rope_theta"] if "rope" in m else 20000.0)
    if arch == "llama":
        w.add_rope_dimension_count(m["head_dim"])
        w.add_vocab_size(n_vocab)
    else:
        w.add_key_length(m["head_dim"])
        w.add_value_length(m["head_dim"])
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(PRE[arch])
    vocab = sorted(tok.get_vocab().items(), key=lambda kv: kv[1])
    w.add_token_list([t for t, _ in vocab])
    w.add_token_types([gguf.TokenType.CONTROL if t in SPECIAL[arch] else gguf.TokenType.NORMAL for t, _ in vocab])
    merges = json.loads(tok.to_str())["model"]["merges"]
    w.add_token_merges([" ".join(pair) for pair in merges])
    w.add_eos_token_id(ends[0])
    if arch == "llama":
        w.add_eot_token_id(ends[1])
    w.add_add_bos_token(False)

    stored = {}

    def add(key, gguf_name, kind, heads=0):
        x = permute(state[key], heads) if heads else state[key]
        if x.ndim == 1 or kind == T.F32:
            w.add_tensor(gguf_name, np.ascontiguousarray(x, np.float32))
        else:
            raw = quantize(x, kind)
            w.add_tensor(gguf_name, raw, raw_dtype=kind)
            x = gguf.quants.dequantize(raw, kind).astype(np.float32).reshape(x.shape)
        stored[key] = unpermute(x, heads) if heads else x

    kinds = m["types"]
    add("model.embed_tokens.weight", "token_embd.weight", kinds["embd"])
    if "rope" in m:
        w.add_tensor("rope_freqs.weight", rope_factors(m))
    for i in range(m["n_layer"]):
        hf, g = f"model.layers.{i}.", f"blk.{i}."
        add(hf + "input_layernorm.weight", g + "attn_norm.weight", T.F32)
        for proj, out, heads in (("q", "attn_q", m["n_head"]), ("k", "attn_k", m["n_kv"]), ("v", "attn_v", 0), ("o", "attn_output", 0)):
            heads = heads if arch == "llama" else 0
            add(f"{hf}self_attn.{proj}_proj.weight", f"{g}{out}.weight", kinds[proj], heads)
            if f"{hf}self_attn.{proj}_proj.bias" in state:
                add(f"{hf}self_attn.{proj}_proj.bias", f"{g}{out}.bias", T.F32, heads)
            if arch == "qwen3" and proj in "qk":
                add(f"{hf}self_attn.{proj}_norm.weight", f"{g}attn_{proj}_norm.weight", T.F32)
        add(hf + "post_attention_layernorm.weight", g + "ffn_norm.weight", T.F32)
        for proj in ("gate", "up", "down"):
            add(f"{hf}mlp.{proj}_proj.weight", f"{g}ffn_{proj}.weight", kinds[proj])
    add("model.norm.weight", "output_norm.weight", T.F32)
    if m["tied"]:
        stored["lm_head.weight"] = stored["model.embed_tokens.weight"]
    else:
        add("lm_head.weight", "output.weight", kinds["out"])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    assert stored.keys() == state.keys()
    put(model, stored)
    return model, tok, ends
