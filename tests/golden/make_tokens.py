#!/usr/bin/env python3
"""Golden token ids and chat renderings: python make_tokens.py SAMPLE.gguf   writes tests/golden/tokens/.

SmolLM2 has its own vocabulary, out of the sample model. For GPT-2, Llama 3 and Qwen small vocabularies are trained
here with exactly the family's normaliser and pre-tokeniser and written as a folder of Hugging Face's; the `odd` ones
use what tokenizer.json can say and the families do not. Ids come from the `tokenizers` library. Where llama.cpp means
the same it is asked too, on a GGUF of the same vocabulary, and must agree (transformers' own GGUF route is not used:
it loses SmolLM's digit splitting). Chat templates are rendered by transformers' own Jinja environment.
"""

import datetime
import json
import os
import sys
import tempfile

from jinja_snippets import SNIPPETS
from reference import gguf_fields
from token_texts import CONVERSATION, MESSAGES, TEMPLATES, TEXTS

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "tokens")
NOW = 1700049600  # 14 Nov 2023, noon in Greenwich: the same day almost everywhere

CHAT_CONTROL = ["<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")


def write(name, value):
    path = os.path.join(OUT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        if isinstance(value, str):
            f.write(value)
        else:
            json.dump(value, f, ensure_ascii=True, separators=(",", ":"))
            f.write("\n")
    print(f"{os.path.relpath(path, HERE)}: {os.path.getsize(path)} bytes")


# ---- vocabularies ------------------------------------------------------------------------------------------------


def corpus():
    prompts = os.path.join(HERE, "..", "..", "samples", "prompts")
    texts = [open(os.path.join(prompts, name), encoding="utf-8").read() for name in sorted(os.listdir(prompts)) if name.endswith(".txt")]
    return texts + list(TEXTS.values())


def train(tok, n_vocab, alphabet=None):
    from tokenizers import pre_tokenizers, trainers

    tok.train_from_iterator(
        corpus(),
        trainers.BpeTrainer(
            vocab_size=n_vocab,
            initial_alphabet=alphabet or sorted(pre_tokenizers.ByteLevel.alphabet()),
            limit_alphabet=len(alphabet) if alphabet else 256,
            show_progress=False,
        ),
    )
    return tok


def family(normalizer, pre_tokenizer, n_vocab=1400):
    from tokenizers import Tokenizer, decoders, models

    tok = Tokenizer(models.BPE())
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizer
    tok.decoder = decoders.ByteLevel()
    return train(tok, n_vocab)


def split(regex):
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(regex), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def special(*texts):
    from tokenizers import AddedToken

    return [AddedToken(t, special=True, normalized=False) for t in texts]


def gpt2():
    from tokenizers import pre_tokenizers

    tok = family(None, pre_tokenizers.ByteLevel(add_prefix_space=False))
    tok.add_special_tokens(special("<|endoftext|>"))
    return tok


def llama3():
    from tokenizers import Tokenizer, processors

    tok = family(None, split(LLAMA3))
    spec = json.loads(tok.to_str())
    model = spec["model"]
    model["ignore_merges"] = True  # a word that is a token needs no merges: take some of those away
    merges = [tuple(m) for m in model["merges"]]
    parts = {p for m in merges for p in m}
    model["merges"] = [" ".join(m) for i, m in enumerate(merges) if i % 7 or "".join(m) in parts]
    tok = Tokenizer.from_str(json.dumps(spec))
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>"]
    tok.add_special_tokens(special(*names))
    bos = names[0]
    tok.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tok.token_to_id(bos))]),
        ]
    )
    return tok


def qwen3():
    from tokenizers import AddedToken, normalizers

    tok = family(normalizers.NFC(), split(QWEN2))
    tok.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    tok.add_tokens([AddedToken(t, normalized=False) for t in ("<tool_call>", "</tool_call>", "<think>", "</think>")])
    return tok


def odd():
    """What tokenizer.json can say and no family does."""
    from tokenizers import AddedToken, Regex, normalizers
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

    def vocabulary(normalizer, pre, n=330):
        return family(normalizer, pre, n)

    prefix = vocabulary(None, ByteLevel(add_prefix_space=True))
    prefix.add_special_tokens([AddedToken("<|im_end|>", lstrip=True, special=True, normalized=False)])
    prefix.add_tokens([AddedToken("<|im_start|>", rstrip=True, normalized=False), AddedToken("keeper"), AddedToken("keeper of")])
    yield "prefix", prefix

    text = vocabulary(None, Sequence([Split(" ", "merged_with_next"), Digits(individual_digits=False), ByteLevel(False, use_regex=False)]))
    text.add_special_tokens(special("<|im_end|>", "<|im_end|>\n", "<|im_"))
    yield "text", text

    unknown = vocabulary(None, Sequence([Split(Regex(r"\p{L}+|\p{N}|\s"), "removed", invert=True), ByteLevel(True, use_regex=False)]))
    spec = json.loads(unknown.to_str())
    spec["model"].update(unk_token="?", fuse_unk=True)
    rare = {"d", "e", "\u0120d", "\u010a", "\u00e2"} & set(spec["model"]["vocab"])  # letters and bytes without a token
    gone = {t for t in spec["model"]["vocab"] if any(r in t for r in rare)}
    spec["model"]["vocab"] = {t: i for t, i in spec["model"]["vocab"].items() if t not in gone}
    spec["model"]["merges"] = [m for m in spec["model"]["merges"] if not gone & {m[0], m[1], m[0] + m[1]}]
    yield "unknown", type(unknown).from_str(json.dumps(spec))

    vanishing = json.loads(json.dumps(spec))
    vanishing["model"].update(unk_token=None, fuse_unk=False)
    yield "vanishing", type(unknown).from_str(json.dumps(vanishing))

    merged = vocabulary(
        normalizers.Sequence([normalizers.NFC()]),
        Sequence([Split(Regex(r"[\p{Lu}]"), "merged_with_previous"), Split(Regex("[aeiou]"), "contiguous"), ByteLevel(False)]),
    )
    merged.add_tokens([AddedToken("e\u0301", normalized=True), AddedToken("naïve", normalized=True), AddedToken("o\u0308", normalized=False)])
    yield "merged", merged


def write_folder(name, tok, config):
    write(f"{name}/tokenizer.json", tok.to_str(pretty=False))
    if config:
        write(f"{name}/tokenizer_config.json", config)


# ---- ids ----------------------------------------------------------------------------------------------------------


def ids_of(tok, text, control, add=False):
    tok.encode_special_tokens = not control
    ids = tok.encode(text, add_special_tokens=add).ids
    tok.encode_special_tokens = False
    return ids


def cut_control(tok, text):
    """Texts between control tokens, and the control tokens between them: text, token, text, ..., text."""
    names = [t.content for t in tok.get_added_tokens_decoder().values() if t.special]
    pieces, at = [""], 0
    while at < len(text):
        hit = max((n for n in names if text.startswith(n, at)), key=len, default="")
        if hit:
            pieces += [hit, ""]
        else:
            pieces[-1] += text[at]
        at += len(hit) or 1
    return pieces


def chat_ids(tok, template, variables, message):
    """The template's control tokens count, the message's stay text: what lies between the template's is encoded with none recognised."""
    mark = "\ue0f0"  # where the message stands is seen from another rendering
    head, tail = render(template, mark, variables).split(mark)
    text = render(template, message, variables)
    assert text.startswith(head) and text.endswith(tail)
    left, right = cut_control(tok, head), cut_control(tok, tail)
    between = left[-1] + text[len(head) : len(text) - len(tail)] + right[0]
    ids = []
    for i, piece in enumerate(left[:-1] + [between] + right[1:]):
        ids += [tok.token_to_id(piece)] if i % 2 else ids_of(tok, piece, False)
    return ids


def golden_ids(tok, template=None, variables=None):
    out = {
        "raw": [ids_of(tok, text, True, add=True) for text in TEXTS.values()],
        "encode": [ids_of(tok, text, False) for text in TEXTS.values()],
    }
    if template:
        out["chat"] = [chat_ids(tok, template, variables, message) for message in MESSAGES.values()]
    return out


def smollm2(path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    fields = gguf_fields(path)
    texts, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"]]
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(texts)}, merges=merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens(special(*(t for t, k in zip(texts, kinds) if k == 3)))
    return tok, fields["tokenizer.chat_template"]


# ---- the second opinion: llama.cpp ---------------------------------------------------------------------------------


def llama_cpp(path):
    from llama_cpp import Llama

    return Llama(path, vocab_only=True, verbose=False)


def as_gguf(tok, pre, path):
    import gguf

    w = gguf.GGUFWriter(path, "llama")
    vocab = tok.get_vocab(with_added_tokens=True)
    added = tok.get_added_tokens_decoder()
    texts = [None] * (max(vocab.values()) + 1)
    for text, i in vocab.items():
        texts[i] = text
    kinds = [3 if i in added and added[i].special else 4 if i in added else 1 for i in range(len(texts))]
    merges = [m if isinstance(m, str) else " ".join(m) for m in json.loads(tok.to_str())["model"]["merges"]]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list(texts)
    w.add_token_types(kinds)
    w.add_token_merges(merges)
    w.add_bos_token_id(min(added))
    w.add_eos_token_id(max(i for i in added if added[i].special))
    for key in ("context_length", "embedding_length", "block_count", "feed_forward_length", "head_count"):
        w.add_uint32(f"llama.{key}" if key != "head_count" else "llama.attention.head_count", 1)
    w.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()


def compare_llama_cpp(name, other, ids, normal):
    """Texts on which llama.cpp says otherwise; it does not normalise, and has its own tables of letters."""
    differ = []
    for (title, text), raw, plain in zip(TEXTS.items(), ids["raw"], ids["encode"]):
        if normal(text) != text:
            continue
        data = text.encode()
        if list(other.tokenize(data, add_bos=True, special=True)) != raw or list(other.tokenize(data, add_bos=False, special=False)) != plain:
            differ.append(title)
    print(f"{name}: llama.cpp differs on {differ or 'nothing'}")
    return differ


# ---- chat templates ------------------------------------------------------------------------------------------------


def render(template, messages, variables=None):
    """messages: a conversation, or the text of one user message."""
    from transformers.utils import chat_template_utils

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(NOW)

    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    real, chat_template_utils.datetime = chat_template_utils.datetime, Clock
    try:
        return chat_template_utils._compile_jinja_template(template).render(
            messages=messages, tools=None, documents=None, add_generation_prompt=True, **(variables or {})
        )
    finally:
        chat_template_utils.datetime = real


def renders(template, messages, variables=None):
    try:
        return render(template, messages, variables)
    except Exception:
        return None


def main():
    import unicodedata

    import transformers
    import tokenizers

    print(f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}")
    write("texts.json", {"texts": list(TEXTS.items()), "messages": list(MESSAGES.items()), "conversation": CONVERSATION})

    tok, template = smollm2(sys.argv[1])
    ids = golden_ids(tok, template)
    write("smollm2/ids.json", ids)
    compare_llama_cpp("smollm2", llama_cpp(sys.argv[1]), ids, lambda text: text)

    for name, make, pre, nfc, template, config in (
        ("gpt2", gpt2, "gpt-2", False, None, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}),
        ("llama3", llama3, "llama-bpe", False, "llama3_fixed_date", {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}),
        ("qwen3", qwen3, "qwen2", True, "qwen3", {"add_bos_token": False, "bos_token": None, "eos_token": "<|im_end|>"}),
    ):
        tok = make()
        if template:
            config["chat_template"] = TEMPLATES[template]
        write_folder(name, tok, config)
        ids = golden_ids(tok, TEMPLATES.get(template), {"bos_token": config["bos_token"]} if config["bos_token"] else {})
        write(f"{name}/ids.json", ids)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "vocab.gguf")
            as_gguf(tok, pre, path)
            normal = (lambda text: unicodedata.normalize("NFC", text)) if nfc else (lambda text: text)
            compare_llama_cpp(name, llama_cpp(path), ids, normal)

    for name, tok in odd():
        write_folder(f"odd_{name}", tok, None)
        write(f"odd_{name}/ids.json", golden_ids(tok))

    chat = []
    for name, template in TEMPLATES.items():
        variables = {"bos_token": "<|begin_of_text|>"}
        chat.append({"name": name, "template": template, "renders": [renders(template, m, variables) for m in MESSAGES.values()],
            "conversation": renders(template, CONVERSATION, variables)})
    write("chat.json", chat)
    snippets = []
    for snippet in SNIPPETS:
        template, message = snippet if isinstance(snippet, tuple) else (snippet, "Hi, \u00e9\u4f60!")
        snippets.append([template, message, renders(template, message, {"bos_token": "<s>"})])
    write("jinja.json", snippets)


main()
