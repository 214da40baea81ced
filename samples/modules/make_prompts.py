#!/usr/bin/env python3
"""Makes the prompts that the shipped lookahead module was trained on, and those it is judged by.

Texts come from Debian packages with free licences (named in PACKAGES with their licence), fetched by name with apt-get and unpacked,
never installed. Instructions around them are our own. The same seed and the same package versions give the same files.

    make_prompts.py --cache FOLDER --count 600 --seed 1 train.jsonl
    make_prompts.py --cache FOLDER --count 40 --seed 2 --held-out FOLDER/

Lengths are log-uniform in characters, so that every octave from 400 to 8,000 characters (about 120 to 2,100 tokens) weighs the same.
"""
import argparse
import gzip
import html.parser
import json
import pathlib
import random
import re
import subprocess
import sys

# package: (licence, what it gives). The second group is never trained on.
PACKAGES = {
    "debian-policy": ("GPL-2+", "prose"),
    "debian-reference-en": ("GPL-2+", "prose"),
    "debian-handbook": ("GPL-2+ or CC-BY-SA-3.0", "prose in many languages"),
    "anarchism": ("GFDL-1.2 without invariant sections or GPL-2+", "essays"),
    "python3.11-doc": ("PSF-2", "manual"),
    "postgresql-doc-15": ("PostgreSQL", "manual"),
    "git-doc": ("GPL-2", "manual"),
    "dict-foldoc": ("GFDL-1.1+", "encyclopedia"),
    "libpython3.11-stdlib": ("PSF-2", "Python code"),
    "wesnoth-1.16-did": ("GPL-2+", "dialogue"),
    "wesnoth-1.16-l": ("GPL-2+", "dialogue"),
    "wesnoth-1.16-thot": ("GPL-2+", "dialogue"),
    "wesnoth-1.16-ttb": ("GPL-2+", "dialogue"),
    "wesnoth-1.16-sof": ("GPL-2+", "dialogue"),
    "debian-reference-zh-cn": ("GPL-2+", "Chinese prose"),
    "debian-reference-de": ("GPL-2+", "German prose"),
    "developers-reference-fr": ("GPL-2+", "French prose"),
}
HELD_OUT_PACKAGES = {
    "apache2-doc": ("Apache-2.0", "manual"),
    "perl-modules-5.36": ("GPL-1+ or Artistic", "Perl code"),
}
SHORTEST, LONGEST = 400, 8000  # characters of text


class Text(html.parser.HTMLParser):
    """The readable text of a page as paragraphs; headings become lines of their own."""

    BREAK = {"p", "div", "li", "h1", "h2", "h3", "h4", "h5", "tr", "dt", "dd", "pre", "section", "br", "table", "ul", "ol", "dl"}
    DROP = {"script", "style", "nav", "head", "footer", "button"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self.dropping, self.pre = [], 0, 0

    def handle_starttag(self, tag, attrs):
        if tag in self.DROP:
            self.dropping += 1
        if tag == "pre":
            self.pre += 1
        if tag in self.BREAK:
            self.parts.append("\n")

    def handle_endtag(self, tag):
        if tag in self.DROP and self.dropping:
            self.dropping -= 1
        if tag == "pre" and self.pre:
            self.pre -= 1
        if tag in self.BREAK:
            self.parts.append("\n")

    def handle_data(self, data):
        if not self.dropping:
            self.parts.append(data if self.pre else re.sub(r"\s+", " ", data))

    def paragraphs(self):
        lines = [line.strip().replace("¶", "") for line in "".join(self.parts).split("\n")]
        return [line for line in lines if line]


def page_paragraphs(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", errors="ignore") as f:
        text = Text()
        text.feed(f.read())
    return [p for p in text.paragraphs() if len(p) > 2]


def fetch(package, cache):
    """Unpacks a package under cache/package, once."""
    target = cache / package
    if target.is_dir():
        return target
    before = set(cache.glob("*.deb"))
    subprocess.run(["apt-get", "download", "-q", package], cwd=cache, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = [d for d in cache.glob("*.deb") if d not in before or d.name.startswith(package + "_")]
    subprocess.run(["dpkg", "-x", str(found[0]), str(target)], check=True)
    return target


class Source:
    """Paragraph lists, one a page; take() cuts a stretch of about n characters at paragraph borders."""

    def __init__(self, pages):
        self.pages = [p for p in pages if sum(map(len, p)) > SHORTEST]

    def take(self, rng, n):
        page = rng.choice(self.pages)
        for _ in range(8):
            if sum(map(len, page)) >= n:
                break
            page = rng.choice(self.pages)
        start = rng.randrange(len(page))
        while start and sum(map(len, page[start:])) < n:
            start = max(0, start - 5)
        taken, size = [], 0
        for paragraph in page[start:]:
            if taken and size + len(paragraph) > n * 1.15:
                break
            taken.append(paragraph[: int(n * 1.2)])
            size += len(paragraph)
            if size >= n:
                break
        return "\n".join(taken)


def html_source(root, pattern="*.html*", keep=lambda path: True):
    return Source([page_paragraphs(p) for p in sorted(root.rglob(pattern)) if p.is_file() and keep(p)])


def dictionary_source(root):
    with gzip.open(next(root.rglob("foldoc.dict.dz")), "rt", encoding="utf-8", errors="ignore") as f:
        entries = re.split(r"\n(?=\S)", f.read())
    entries = [re.sub(r"[{}]", "", e).strip() for e in entries if 120 < len(e) < 3000]
    return Source([entries[i : i + 60] for i in range(0, len(entries), 60)])


def code_source(root, ending):
    pages = []
    for path in sorted(p for p in root.rglob("*" + ending) if p.is_file()):
        text = path.read_text(encoding="utf-8", errors="ignore")
        blocks = re.split(r"\n(?=def |class |sub |async def )", text)
        pages.append([b.rstrip() for b in blocks if 40 < len(b) < 6000])
    return Source(pages)


def dialogue_source(roots):
    pages = []
    for root in roots:
        for path in sorted(root.rglob("*.cfg")):
            text = path.read_text(encoding="utf-8", errors="ignore")
            lines = []
            for block in re.findall(r"\[message\](.*?)\[/message\]", text, re.S):
                who = re.search(r"(?:speaker|id)=\s*\"?([A-Za-z' ]+)", block)
                said = re.search(r"message=\s*_\s*\"(.*?)\"", block, re.S)
                if who and said:
                    lines.append(f"{who.group(1).strip()}: {' '.join(said.group(1).split())}")
            if len(lines) > 8:
                pages.append(lines)
    return Source(pages)


READING = ["Summarize the text above in a few sentences.", "What are the main points of this text?", "Explain the text in simple words for a beginner.",
    "List the most important facts stated above.", "What does the author recommend, and why?", "Write a short paragraph that continues this text.",
    "Which terms are introduced here, and what do they mean?", "Rewrite the passage in a more formal style.", "What is the purpose of what is described here?",
    "Give three questions that this text answers, with their answers.", "What conclusions can be drawn from the text?", "Write a headline and a one-paragraph summary.",
    "Describe what happens in the text, step by step."]
CODING = ["Explain what this code does.", "Write a docstring for the last function.", "Are there any mistakes in this code?", "Describe the functions defined above and how they relate.",
    "Write a short test for this code.", "How would you simplify this code?", "Which errors can this code raise, and when?"]
TALK = ["Summarize the conversation.", "What does the last speaker want?", "Who are the people speaking, and what is their relationship?", "How might the conversation continue?",
    "What conflict is described in this dialogue?", "Describe the mood of the scene."]
GERMAN = ["Fasse den Text in wenigen Sätzen zusammen.", "Was sind die wichtigsten Punkte dieses Textes?", "Translate the main idea of this text into English."]
FRENCH = ["Résume ce texte en quelques phrases.", "Quels sont les points essentiels de ce texte ?", "Translate the main idea of this text into English."]
CHINESE = ["请用几句话总结上面的内容。", "这段文字的要点是什么？", "Explain in English what this text says."]
SPANISH = ["Resume el texto en pocas frases.", "¿Cuáles son los puntos principales?"]
JAPANESE = ["上の文章を短く要約してください。", "この文章の要点は何ですか。"]
PLACES = ["north gate", "archive", "boiler room", "greenhouse", "harbour office", "lighthouse", "east wing", "library", "signal tower", "mill", "observatory", "workshop"]
THINGS = ["access code", "opening year", "keeper's number", "storage limit", "inspection day", "contact number", "serial number", "password"]
PEOPLE = ["Mara Lindqvist", "Tomas Okafor", "Ines Caldera", "Jonas Weber", "Aiko Tanaka", "Peter Novak", "Leila Haddad", "Sam Whitfield"]
CHAT = ["Write a short story about {}.", "Explain how {} works to a child.", "Give me ten ideas for an article about {}.", "What should I know before I start learning about {}?",
    "Write an email that asks for help with {}.", "Compare two ways to deal with {}.", "Draft a speech about {} for a town meeting."]
TOPICS = ["a lighthouse keeper who collects clocks", "compound interest", "growing tomatoes on a balcony", "the water cycle", "public libraries", "repairing a bicycle", "night trains",
    "bread and yeast", "the history of maps", "noise in cities", "learning the violin", "tides", "a robot that is afraid of rain", "recycling glass", "chess openings", "migrating birds"]


def framed(rng, text, asks):
    """Instruction after the text, before it, on both sides, or with the text quoted."""
    ask, form = rng.choice(asks), rng.random()
    if form < 0.5:
        return f"{text}\n\n{ask}"
    if form < 0.7:
        return f"{ask}\n\n{text}"
    if form < 0.85:
        return f"Read the following text carefully.\n\n{text}\n\n{ask}"
    return f"Here is a document:\n\"\"\"\n{text}\n\"\"\"\n\nTask: {ask}"


def needle(rng, source, n):
    """Facts hidden in unrelated text at random depths, one of them asked for."""
    paragraphs = source.take(rng, n).split("\n")
    facts = []
    for _ in range(rng.choice([1, 1, 2, 4])):
        place, thing, value = rng.choice(PLACES), rng.choice(THINGS), str(rng.randrange(100, 99999))
        facts.append((place, thing, value))
        form = rng.choice(["The {t} of the {p} is {v}.", "Remember that {v} is the {t} of the {p}.", "{n} noted the {t} for the {p}: {v}."])
        paragraphs.insert(rng.randrange(len(paragraphs) + 1), form.format(t=thing, p=place, v=value, n=rng.choice(PEOPLE)))
    place, thing, _ = rng.choice(facts)
    ask = rng.choice(["What is the {t} of the {p}?", "According to the text, what is the {t} of the {p}? Quote the sentence.", "Find the {t} of the {p} and explain where the text mentions it."])
    return "\n".join(paragraphs) + "\n\n" + ask.format(t=thing, p=place)


def table(rng, n):
    """Records to look things up in."""
    rows = []
    while sum(map(len, rows)) < min(n, 3000):
        rows.append(f"{rng.choice(PEOPLE)} | {rng.choice(PLACES)} | {rng.choice(THINGS)} | {rng.randrange(1, 999)}")
    name = rng.choice(rows).split(" | ")[0]
    ask = rng.choice([f"List everything recorded for {name}.", "Which place appears most often?", "Sum up the table in two sentences.", f"Which numbers belong to {name}?"])
    return "Name | Place | Item | Amount\n" + "\n".join(rows) + "\n\n" + ask


def question(rng, source, n):
    """Entries of an encyclopedia, one of them asked about."""
    text = source.take(rng, n)
    heads = [line for line in text.split("\n") if line and not line.startswith(" ") and len(line) < 60]
    topic = rng.choice(heads) if heads else "the first entry"
    return framed(rng, text, [f"What is {topic}?", f"Explain {topic} using only the text.", f"How does the text define {topic}?"])


def training_kinds(cache):
    get = {name: fetch(name, cache) for name in PACKAGES}
    handbook = get["debian-handbook"]

    def handbook_in(language):
        return html_source(handbook, keep=lambda p: f"/{language}/" in str(p))

    prose = [html_source(get["debian-policy"]), html_source(get["debian-reference-en"]), handbook_in("en-US")]
    essays, entries = html_source(get["anarchism"]), dictionary_source(get["dict-foldoc"])
    manuals = [html_source(get["python3.11-doc"], keep=lambda p: re.search("/(tutorial|howto|library|faq)/", str(p))),
        html_source(get["postgresql-doc-15"]), html_source(get["git-doc"])]
    code = code_source(get["libpython3.11-stdlib"], ".py")
    talk = dialogue_source([get[n] for n in PACKAGES if n.startswith("wesnoth")])
    german, french, chinese = html_source(get["debian-reference-de"]), html_source(get["developers-reference-fr"]), html_source(get["debian-reference-zh-cn"])
    spanish = handbook_in("es-ES")
    anything = prose + manuals + [essays, entries]
    return [  # weight, maker(rng, characters)
        (14, lambda r, n: framed(r, r.choice(prose).take(r, n), READING)),
        (18, lambda r, n: framed(r, essays.take(r, n), READING)),
        (10, lambda r, n: framed(r, r.choice(manuals).take(r, n), READING)),
        (8, lambda r, n: question(r, entries, n)),
        (12, lambda r, n: framed(r, code.take(r, n), CODING)),
        (8, lambda r, n: framed(r, talk.take(r, n), TALK)),
        (12, lambda r, n: needle(r, r.choice(anything), n)),
        (4, lambda r, n: table(r, n)),
        (3, lambda r, n: framed(r, german.take(r, n // 2), GERMAN)),
        (3, lambda r, n: framed(r, french.take(r, n // 2), FRENCH)),
        (3, lambda r, n: framed(r, spanish.take(r, n // 2), SPANISH)),
        (4, lambda r, n: framed(r, chinese.take(r, n // 4), CHINESE)),
        (3, lambda r, n: r.choice(CHAT).format(r.choice(TOPICS))),
    ]


def held_out_kinds(cache):
    get = {name: fetch(name, cache) for name in HELD_OUT_PACKAGES}
    handbook = fetch("debian-handbook", cache)
    manual = html_source(get["apache2-doc"], keep=lambda p: "/en/" in str(p) or ".en" in p.name)
    perl = code_source(get["perl-modules-5.36"], ".pm")
    japanese = html_source(handbook, keep=lambda p: "/ja-JP/" in str(p))
    italian = html_source(handbook, keep=lambda p: "/it-IT/" in str(p))
    return {
        "document": lambda r, n: framed(r, manual.take(r, n), READING),
        "needle": lambda r, n: needle(r, manual, n),
        "code": lambda r, n: framed(r, perl.take(r, n), CODING),
        "japanese": lambda r, n: framed(r, japanese.take(r, n // 3), JAPANESE),
        "italian": lambda r, n: framed(r, italian.take(r, n // 2), ["Riassumi il testo in poche frasi.", "Quali sono i punti principali?"]),
    }


def size(rng, longest):
    return int(SHORTEST * (longest / SHORTEST) ** rng.random())


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--cache", type=pathlib.Path, required=True, help="folder for unpacked packages")
    parse.add_argument("--count", type=int, default=600)
    parse.add_argument("--seed", type=int, default=1)
    parse.add_argument("--longest", type=int, default=LONGEST, help="characters of text")
    parse.add_argument("--held-out", action="store_true", help="write one JSONL a kind into the folder OUT")
    parse.add_argument("out", type=pathlib.Path)
    args = parse.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    rng = random.Random(args.seed)
    if args.held_out:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, make in held_out_kinds(args.cache).items():
            with open(args.out / f"{name}.jsonl", "w", encoding="utf-8") as f:
                for _ in range(args.count):
                    print(json.dumps({"prompt": make(rng, size(rng, args.longest))}, ensure_ascii=False), file=f)
        return
    kinds = training_kinds(args.cache)
    with open(args.out, "w", encoding="utf-8") as f:
        for _ in range(args.count):
            _, make = rng.choices(kinds, weights=[w for w, _ in kinds])[0]
            print(json.dumps({"prompt": make(rng, size(rng, args.longest))}, ensure_ascii=False), file=f)
    print(f"{args.count} prompts in {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
