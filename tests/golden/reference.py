"""The reference: what transformers computes, in float32, on the weights of a file, reduced to kvglass's means.

Nothing of kvglass is used here. The model runs through transformers' own eager attention; hooks read the attention
weights of one layer at a time, keep the sums that are asked for and drop the rest, so a prompt of 2,000 tokens needs
one layer's map and not thirty. Sums are taken in float64.
"""

import numpy as np
import torch


def quiet():
    import transformers

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


# ---- tokens ------------------------------------------------------------------------------------------------------


def gguf_fields(path):
    import gguf

    return {key: field.contents() for key, field in gguf.GGUFReader(path).fields.items() if field.types}


class SmolLMTokenizer:
    """The `tokenizers` library with SmolLM's own pre-tokeniser (single digits, then byte level) over a GGUF's vocabulary.

    transformers' own GGUF route is not used: it loses the digit splitting, adds a BOS and takes a wrong end token.
    """

    SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

    def __init__(self, path):
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        fields = gguf_fields(path)
        text = fields["tokenizer.ggml.tokens"]
        kind = fields["tokenizer.ggml.token_type"]
        merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"]]
        self.special = {i for i, k in enumerate(kind) if k == 3}
        self.end = fields["tokenizer.ggml.eos_token_id"]
        self.n_vocab = len(text)
        self.tokenizers = {}
        for recognise in (False, True):
            tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(text)}, merges=merges))
            tok.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            )
            tok.decoder = decoders.ByteLevel()
            if recognise:
                tok.add_special_tokens([AddedToken(text[i], special=True, normalized=False) for i in sorted(self.special)])
            self.tokenizers[recognise] = tok
        self.text = text

    def encode(self, text, control):
        return self.tokenizers[control].encode(text, add_special_tokens=False).ids

    def chat(self, text):
        """ids and parts (template 0, system 1, user 2) of one user message; the message's own control text stays text."""
        pieces = [("<|im_start|>", 0), ("system\n", 0), (self.SYSTEM, 1), ("<|im_end|>", 0), ("\n", 0), ("<|im_start|>", 0)]
        pieces += [("user\n", 0), (text, 2), ("<|im_end|>", 0), ("\n", 0), ("<|im_start|>", 0), ("assistant\n", 0)]
        # What lies between two control tokens is one run for the pre-tokeniser, as it would be in one rendered string.
        ids, run = [], ""
        for piece, part in [*pieces, ("<|im_start|>", 0)]:
            if part == 0 and piece.startswith("<|im_"):
                ids += self.encode(run, False) + [self.text.index(piece)]
                run = ""
            else:
                run += piece
        ids.pop()  # the sentinel after the last run
        return ids, self._parts(ids, pieces)

    def _parts(self, ids, pieces):
        bounds, at = [], 0
        for text, part in pieces:
            bounds.append((at, part))
            at += len(text.encode())
        parts, at = [], 0
        for i in ids:
            parts.append([p for b, p in bounds if b <= at][-1])
            at += len(self.piece(i))
        return parts

    def piece(self, i):
        if i in self.special:
            return self.text[i].encode()
        return bytes(BYTE_OF[c] for c in self.text[i])


def byte_alphabet():
    keep = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, n = {}, 0
    for b in range(256):
        if b in keep:
            table[chr(b)] = b
        else:
            table[chr(256 + n)] = b
            n += 1
    return table


BYTE_OF = byte_alphabet()

# ---- model -------------------------------------------------------------------------------------------------------


def load_gguf(folder, name):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


class Watch:
    """Adds attention rows to named sums. A request is (name, rows): rows is a set of absolute positions or None for all."""

    def __init__(self, model):
        self.layers = model.model.layers
        self.sums = {}
        self.requests = []
        self.n_key = 0
        self.first = 0
        self.handles = [layer.self_attn.register_forward_hook(self.hook(i)) for i, layer in enumerate(self.layers)]

    def hook(self, index):
        def read(module, inputs, output):
            weights = output[1][0]  # (n_head, n_row, n_key)
            n_row = weights.shape[1]
            for name, rows in self.requests:
                pick = [r - self.first for r in rows if self.first <= r < self.first + n_row]
                if not pick:
                    continue
                total = weights[:, pick, : self.n_key].double().sum(1)
                key = (name, index)
                self.sums[key] = self.sums.get(key, 0) + total
            return output[0], None

        return read

    def mean(self, name, n_row):
        return (torch.stack([self.sums[name, i] for i in range(len(self.layers))]) / n_row).float().numpy()

    def close(self):
        for handle in self.handles:
            handle.remove()


class Adapters:
    """LoRA of rows first.. of every projection, y += scale * B (A x), as forward hooks on the linear layers."""

    PROJ = ("q", "k", "v", "o", "gate", "up", "down")

    def __init__(self, model, lora, scale, first):
        self.handles = []
        for index, layer in enumerate(model.model.layers):
            for proj in self.PROJ:
                if (index, proj) not in lora:
                    continue
                a, b = (x if torch.is_tensor(x) else torch.from_numpy(x).float() for x in lora[index, proj])
                owner = layer.self_attn if proj in "qkvo" else layer.mlp
                linear = getattr(owner, proj + "_proj")
                self.handles.append(linear.register_forward_hook(self.hook(a, b, scale, first)))

    @staticmethod
    def hook(a, b, scale, first):
        def add(module, inputs, output):
            output = output.clone()
            output[:, first:] += scale * ((inputs[0][:, first:] @ a.T) @ b.T)
            return output

        return add

    def close(self):
        for handle in self.handles:
            handle.remove()


def prefill(model, ids, requests, logits_rows):
    """One causal pass over the prompt: means' sums, logits of the rows asked for, the cache."""
    watch = Watch(model)
    watch.requests, watch.n_key = requests, len(ids)
    out = model.model(input_ids=torch.tensor([ids]), use_cache=True)
    watch.close()
    hidden = out.last_hidden_state[0]
    return watch, model.lm_head(hidden[logits_rows]), out.past_key_values


def respond(model, n_prompt, cache, logits, n_max, ends, watch):
    """Greedy answer, one token at a time: every token is fed and its attention row added to truth and truth_even."""
    watch = Watch(model) if watch is None else watch
    watch.n_key = n_prompt
    ids, margins, all_logits = [], [], []
    while len(ids) < n_max:
        top = torch.topk(logits, 2)
        token = int(top.indices[0])
        margins.append(float(top.values[0] - top.values[1]))
        if token in ends:
            break
        at = n_prompt + len(ids)
        watch.first = at
        watch.requests = [("truth", {at})] + ([("truth_even", {at})] if len(ids) % 2 == 0 else [])
        out = model.model(input_ids=torch.tensor([[token]]), past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        logits = model.lm_head(out.last_hidden_state[0, -1])
        all_logits.append(logits)
        ids.append(token)
    watch.close()
    return ids, margins, all_logits, watch


def lookahead(model, ids, soft, lora=None, scale=4.0):
    """The joint pass [X; P] of the paper: soft tokens at positions n.., adapters on their rows alone. Mean over their rows."""
    n, n_rows = len(ids), len(soft)
    embeds = torch.cat([model.model.embed_tokens(torch.tensor([ids])), torch.from_numpy(soft).float()[None]], 1)
    adapters = Adapters(model, lora or {}, scale, n)
    watch = Watch(model)
    watch.requests, watch.n_key = [("lookahead", range(n, n + n_rows))], n
    model.model(inputs_embeds=embeds, use_cache=False)
    watch.close()
    adapters.close()
    return watch.mean("lookahead", n_rows)


def key_norms(cache, n):
    return np.stack([layer.keys[0, :, :n].double().norm(dim=-1).float().numpy() for layer in cache.layers])


def value_norms(model, cache, n):
    """|V|_2, and the mean over a group's query heads of |V W_O|_1 and |V W_O|_2: (n_layer, n_kv_head, n) each."""
    out = {"value.l2": [], "value.l1_wo": [], "value.l2_wo": []}
    for layer, kept in zip(model.model.layers, cache.layers):
        v = kept.values[0, :, :n].double()
        n_kv, _, d = v.shape
        n_head = layer.self_attn.o_proj.weight.shape[1] // d
        # columns h*d .. (h+1)*d of W_O belong to query head h; query head h reads KV head h // group
        w = layer.self_attn.o_proj.weight.double().reshape(-1, n_kv, n_head // n_kv, d)
        projected = torch.einsum("gjd,eghd->ghje", v, w)
        out["value.l2"].append(v.norm(dim=-1))
        out["value.l1_wo"].append(projected.abs().sum(-1).mean(1))
        out["value.l2_wo"].append(projected.norm(dim=-1).mean(1))
    return {k: torch.stack(x).float().numpy() for k, x in out.items()}


def check_file(path, model, tok, ends):
    """The file just written, opened by programs that did not write it: transformers (folders), llama.cpp (GGUF)."""
    ids = tok.encode("The lamp could be seen for only six miles.", add_special_tokens=False).ids * 8
    want = model(torch.tensor([ids])).logits[0].numpy()
    if path.endswith(".gguf"):
        from llama_cpp import Llama

        other = Llama(path, n_ctx=512, logits_all=True, n_threads=1, verbose=False)
        assert other.tokenize("keeper 123".encode(), add_bos=False, special=True) == tok.encode("keeper 123").ids
        other.eval(ids)
        got, limit = other.scores[: len(ids)], 0.05  # llama.cpp rounds activations to 8 bits
        other.close()
    else:
        from transformers import AutoModelForCausalLM

        other = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
        assert list(other.generation_config.eos_token_id) == ends
        got, limit = other(torch.tensor([ids])).logits[0].numpy(), 1e-5
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    print(f"{path.rsplit('/', 1)[1]}: logits as read by the other program differ by {error:.1e}")
    assert error < limit
