#!/usr/bin/env python3
"""Makes the prompts that the shipped lookahead module was trained on, and those it is judged by.

    make_prompts.py --cache FOLDER --count 300 --seed 1 train.jsonl
    make_prompts.py --cache FOLDER --count 300 --seed 1 --of wider more.jsonl
    make_prompts.py --cache FOLDER --held-out --seed 2 FOLDER

Texts come from Debian packages (texts.py names them and their licences), the instructions around them are our own. The same seed and the
same package versions give the same files. Training prompts: lengths log-uniform from --shortest to --longest tokens, kinds in fixed shares, both
spread evenly, so that the first hundred lines are as mixed as all. Held-out prompts: one file a kind, of other packages, of about 256
(twice), 512 (twice), 1,024, 2,048 and 4,096 tokens; news 24 prompts of 250 to 900 tokens. validation.jsonl holds two more of every kind,
to watch a training with.
"""
import argparse
import json
import pathlib
import random
import re
import sys

import texts
from instructions import (CHINESE, CODING, FRENCH, GERMAN, ITALIAN, JAPANESE, PORTUGUESE, READING, SPANISH, TALK, asked, chatter, framed, needle,
    table)
from reports import report

LENGTHS = (256, 256, 512, 512, 1024, 2048, 4096)  # tokens of held-out prompts, about
AROUND = 45  # tokens of the chat template and of an instruction

# Characters that a token of the sample model holds, so that lengths can be given in tokens without its tokenizer.
ENGLISH, TALKED, CODE, DE, FR, ES, IT, PT, ZH, JA = 4.1, 3.6, 3.0, 2.6, 2.9, 3.0, 2.8, 2.8, 0.95, 1.0


def training_kinds(cache):
    """(share, name, characters a token, maker(rng, characters))"""
    get = {name: texts.fetch(name, cache) for name in texts.TRAINING}
    handbook = lambda language: texts.html_pages(get["debian-handbook"], keep=lambda p: f"/{language}/" in str(p))
    prose = [texts.html_pages(get[name]) for name in ("debian-policy", "debian-reference-en", "debian-faq")] + [handbook("en-US"),
        texts.html_pages(get["debian-history"], "*.en.html")]
    essays = texts.html_pages(get["anarchism"])
    entries = [texts.dictionary(next(get[name].rglob("*.dict.dz"))) for name in ("dict-foldoc", "dict-jargon")]
    manuals = [texts.html_pages(get["python3.11-doc"], keep=lambda p: re.search("/(tutorial|howto|library|faq|whatsnew)/", str(p))),
        texts.html_pages(get["postgresql-doc-15"]), texts.html_pages(get["git-doc"])]
    code = [texts.code(get["libpython3.11-stdlib"], ".py"), texts.code(get["golang-golang-x-tools-dev"], ".go"),
        texts.code(get["node-lodash"], ".js")]
    talk = texts.dialogue([get[name] for name in texts.TRAINING if name.startswith("wesnoth")])
    chinese = [texts.html_pages(get["debian-reference-zh-cn"]), texts.html_pages(get["debian-faq-zh-cn"]), texts.manual_pages(get["manpages-zh"]),
        texts.verse(get["fortunes-zh"], ("tang300", "song100"))]
    german, french, spanish = texts.html_pages(get["debian-reference-de"]), texts.html_pages(get["developers-reference-fr"]), handbook("es-ES")
    anything = prose + manuals + [essays] + entries
    return [
        (14, "essay", ENGLISH, lambda r, n: framed(r, essays.take(r, n), READING)),
        (12, "prose", ENGLISH, lambda r, n: framed(r, r.choice(prose).take(r, n), READING)),
        (8, "manual", ENGLISH, lambda r, n: framed(r, r.choice(manuals).take(r, n), READING)),
        (12, "question", ENGLISH, lambda r, n: asked(r, r.choice(anything).take(r, n))),
        (5, "encyclopedia", ENGLISH, lambda r, n: framed(r, r.choice(entries).take(r, n), READING)),
        (14, "code", CODE, lambda r, n: framed(r, r.choice(code).take(r, n), CODING)),
        (8, "dialogue", TALKED, lambda r, n: framed(r, talk.take(r, n), TALK)),
        (14, "needle", ENGLISH, lambda r, n: needle(r, r.choice(anything).take(r, n))),
        (3, "table", 3.3, table),
        (3, "german", DE, lambda r, n: framed(r, german.take(r, n), GERMAN)),
        (3, "french", FR, lambda r, n: framed(r, french.take(r, n), FRENCH)),
        (3, "spanish", ES, lambda r, n: framed(r, spanish.take(r, n), SPANISH)),
        (9, "chinese", ZH, lambda r, n: framed(r, r.choice(chinese).take(r, n), CHINESE)),
        (2, "chat", ENGLISH, lambda r, n: chatter(r)),
    ]


def pages_of(get, shortest=0):
    return lambda name, pattern, keep="": texts.html_pages(get[name], pattern, lambda p: re.search(keep, str(p)), shortest)


def wider_kinds(cache):
    """As training_kinds: shorter and of more sources, reports, announcements and encyclopaedic prose first."""
    get = {name: texts.fetch(name, cache) for name in (*texts.TRAINING, *texts.WIDER)}
    of = pages_of(get)
    handbook = lambda language: of("debian-handbook", "*.html", f"/{language}/")
    desktop = lambda language: of("gnome-user-docs", "*.page", f"/help/{language}/gnome-help/")
    install = lambda language: of("installation-guide-amd64", "*.html", f"/{language}/")
    skies = lambda language, shortest=60: texts.html_pages(get["stellarium-data"], f"description.{language}.utf8", shortest=shortest)
    nations, novels, scenes = texts.legends(get["freeciv-data"]), texts.novels(get["r-cran-janeaustenr"]), texts.scenes(get["endless-sky-data"])
    charters = texts.Source([page for path in sorted(get["miscfiles"].rglob("us-*.gz")) for page in texts.plain(path)])
    essays = [of("linux-doc-6.1", "*.html", "/html/process/"), of("sqlite3-doc", "*.html", "/(about|why|whentouse|testing|different|serverless|"
        "footprint|hirely|famous|faq|quirks|howtocorrupt|fasterthanfs|affcase1|aff_short|appfileformat|wal|atomiccommit|optoverview|zeroconf|"
        "selfcontained|security|locrsf|np1queryprob|qmplan|queryplanner|rtree|fts3|json1|lts|mostdeployed|mingo)[^/]*$"), charters]
    announced = [texts.announcements(next(get["systemd"].rglob("NEWS.gz"))), of("python-django-doc", "*.html", "/releases/"),
        of("sqlite3-doc", "*.html", "/releaselog/|/news.html|/changes.html")]
    guides = [desktop("C"), of("harden-doc", "*.html", r"/en|\.en\."), texts.html_pages(get["debian-reference-en"])]
    anarchism, entries = texts.html_pages(get["anarchism"]), texts.dictionary(next(get["dict-foldoc"].rglob("*.dict.dz")))
    german = [handbook("de-DE"), desktop("de"), install("de"), skies("de"), texts.html_pages(get["debian-faq-de"]),
        texts.html_pages(get["developers-reference-de"])]
    french = [handbook("fr-FR"), desktop("fr"), install("fr"), skies("fr"), texts.html_pages(get["debian-faq-fr"]),
        texts.html_pages(get["aptitude-doc-fr"])]
    spanish, chinese = [desktop("es"), install("es"), skies("es")], [handbook("zh-CN"), install("zh_CN"), skies("zh_CN", 20)]
    magazine = skies("en")
    anything = [*essays, *announced, *guides, nations, novels, magazine, anarchism]
    return [
        (14, "report", ENGLISH, report),
        (9, "encyclopedia", ENGLISH, lambda r, n: framed(r, r.choice([nations, nations, entries]).take(r, n), READING)),
        (8, "magazine", ENGLISH, lambda r, n: framed(r, magazine.take(r, n), READING)),
        (12, "essay", ENGLISH, lambda r, n: framed(r, r.choice([*essays, anarchism]).take(r, n), READING)),
        (12, "announcement", ENGLISH, lambda r, n: framed(r, r.choice(announced).take(r, n), READING)),
        (6, "manual", ENGLISH, lambda r, n: framed(r, r.choice(guides).take(r, n), READING)),
        (9, "story", ENGLISH, lambda r, n: framed(r, r.choice([novels, scenes]).take(r, n), READING)),
        (8, "question", ENGLISH, lambda r, n: asked(r, r.choice(anything).take(r, n))),
        (4, "needle", ENGLISH, lambda r, n: needle(r, r.choice(anything).take(r, n))),
        (5, "german", DE, lambda r, n: framed(r, r.choice(german).take(r, n), GERMAN)),
        (5, "french", FR, lambda r, n: framed(r, r.choice(french).take(r, n), FRENCH)),
        (2, "spanish", ES, lambda r, n: framed(r, r.choice(spanish).take(r, n), SPANISH)),
        (6, "chinese", ZH, lambda r, n: framed(r, r.choice(chinese).take(r, n), CHINESE)),
    ]


def widest_kinds(cache):
    """As training_kinds: reports again, and sources that the two before do not have, on money and in two more languages among them."""
    get = {name: texts.fetch(name, cache) for name in (*texts.WIDEST, "endless-sky-data", "freeciv-data", "r-cran-janeaustenr")}
    of = pages_of(get, shortest=60)
    money = lambda language: of("gnucash-docs", "*.html", f"/gnucash-(guide|help)-{language}/")
    savings = [money("en"), of("homebank-data", "*.html", "/help/")]
    essays = [of("cfi-en", "*.htm"), of("mh-book", "*.html", "/(overall|mh)/"), of("rust-doc", "*.html", "/(book|edition-guide)/"),
        of("lilypond-doc-html", "*.html", r"/essay/.*(?<!\.[a-z]{2})\.html"), of("debian-kernel-handbook", "*.html")]
    manuals = [of("freedombox-doc-en", "*.html", "/manual/en/"), of("wireshark-doc", "*.html", "/wsug_html_chunked/")]
    entries = [texts.dictionary(next(get["dict-devil"].rglob("*.dict.dz"))),
        of("lilypond-doc-html", "*.html", r"/music-glossary-big-page\.html"), texts.legends(get["freeciv-data"])]
    german = [money("de"), of("debian-paketmanagement-buch", "*.html")]
    italian, portuguese = money("it"), money("pt")
    told = [texts.novels(get["r-cran-janeaustenr"]), texts.scenes(get["endless-sky-data"])]
    anything = [*savings, *essays, *manuals, *entries]
    return [
        (20, "report", ENGLISH, report),
        (16, "money", ENGLISH, lambda r, n: framed(r, r.choice(savings).take(r, n), READING)),
        (16, "essay", ENGLISH, lambda r, n: framed(r, r.choice(essays).take(r, n), READING)),
        (10, "encyclopedia", ENGLISH, lambda r, n: framed(r, r.choice(entries).take(r, n), READING)),
        (10, "manual", ENGLISH, lambda r, n: framed(r, r.choice(manuals).take(r, n), READING)),
        (6, "story", ENGLISH, lambda r, n: framed(r, r.choice(told).take(r, n), READING)),
        (8, "question", ENGLISH, lambda r, n: asked(r, r.choice(anything).take(r, n))),
        (4, "needle", ENGLISH, lambda r, n: needle(r, r.choice(anything).take(r, n))),
        (4, "german", DE, lambda r, n: framed(r, r.choice(german).take(r, n), GERMAN)),
        (3, "italian", IT, lambda r, n: framed(r, italian.take(r, n), ITALIAN)),
        (3, "portuguese", PT, lambda r, n: framed(r, portuguese.take(r, n), PORTUGUESE)),
    ]


KINDS = {"first": training_kinds, "wider": wider_kinds, "widest": widest_kinds}


def held_out_kinds(cache):
    get = {name: texts.fetch(name, cache) for name in texts.HELD_OUT}
    stories = texts.news(get["r-cran-tm"])
    manual = texts.html_pages(get["apache2-doc"], keep=lambda p: "/en/" in str(p) or ".en" in p.name)
    code = [texts.code(get["perl-modules-5.36"], ".pm"), texts.code(get["libruby3.1"], ".rb")]
    talk = texts.dialogue([get["wesnoth-1.16-httt"]])
    foreign = {name: texts.html_pages(get[name]) for name in texts.HELD_OUT if name[-3:] in ("-cn", "-de", "-fr", "-ja")}
    return [
        (1, "news", ENGLISH, lambda r, n: framed(r, stories.take(r, n), READING)),
        (1, "question", ENGLISH, lambda r, n: asked(r, manual.take(r, n))),
        (1, "needle", ENGLISH, lambda r, n: needle(r, manual.take(r, n))),
        (1, "code", CODE, lambda r, n: framed(r, r.choice(code).take(r, n), CODING)),
        (1, "dialogue", TALKED, lambda r, n: framed(r, talk.take(r, n), TALK)),
        (1, "chinese", ZH, lambda r, n: framed(r, foreign["maint-guide-zh-cn"].take(r, n), CHINESE)),
        (1, "german", DE, lambda r, n: framed(r, foreign["maint-guide-de"].take(r, n), GERMAN)),
        (1, "french", FR, lambda r, n: framed(r, foreign["maint-guide-fr"].take(r, n), FRENCH)),
        (1, "japanese", JA, lambda r, n: framed(r, foreign["debian-reference-ja"].take(r, n), JAPANESE)),
    ]


def characters(tokens, a_token):
    return int(max(tokens - AROUND, 40) * a_token)


def spread(n):
    """n numbers of 0..1, each prefix of them even (the golden ratio's multiples)."""
    return [(0.5 + i * 0.6180339887498949) % 1 for i in range(n)]


def in_shares(kinds, n):
    """Kinds in the order of how far each is behind its share."""
    total, given = sum(kind[0] for kind in kinds), [0] * len(kinds)
    for i in range(n):
        which = max(range(len(kinds)), key=lambda k: kinds[k][0] * (i + 1) / total - given[k])
        given[which] += 1
        yield kinds[which]


def write(path, prompts):
    with open(path, "w", encoding="utf-8") as f:
        for prompt in prompts:
            print(json.dumps(prompt, ensure_ascii=False), file=f)


def training(rng, kinds, count, shortest, longest):
    for at, (_, name, a_token, make) in zip(spread(count), in_shares(kinds, count)):
        tokens = shortest * (longest / shortest) ** at
        yield {"kind": name, "prompt": make(rng, characters(tokens, a_token))}


def held_out(rng, cache, folder, quick):
    validation = []
    for _, name, a_token, make in held_out_kinds(cache):
        lengths = [250 * (900 / 250) ** (i / 23) for i in range(24)] if name == "news" else LENGTHS
        if quick:
            lengths = LENGTHS[:1]
        write(folder / f"{name}.jsonl", ({"kind": name, "length": round(n), "prompt": make(rng, characters(n, a_token))} for n in lengths))
        validation += [{"kind": name, "prompt": make(rng, characters(n, a_token))} for n in ((300,) if quick else (300, 900))]
    write(folder / "validation.jsonl", validation)


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--cache", type=pathlib.Path, required=True, help="folder for unpacked packages")
    parse.add_argument("--count", type=int, default=300)
    parse.add_argument("--seed", type=int, default=1)
    parse.add_argument("--shortest", type=int, default=120, help="tokens of a training prompt, about")
    parse.add_argument("--longest", type=int, default=2600)
    parse.add_argument("--of", choices=KINDS, default="first", help="sources: those of the first stages, of the third on, of the fifth")
    parse.add_argument("--held-out", action="store_true", help="write one JSONL a kind into the folder OUT")
    parse.add_argument("--quick", action="store_true", help="a few prompts of at most 400 tokens, to try the programs that read them")
    parse.add_argument("out", type=pathlib.Path)
    args = parse.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    if args.quick:
        args.count, args.shortest, args.longest = 14, 120, 400
    rng = random.Random(args.seed)
    if args.held_out:
        args.out.mkdir(parents=True, exist_ok=True)
        held_out(rng, args.cache, args.out, args.quick)
    else:
        write(args.out, training(rng, KINDS[args.of](args.cache), args.count, args.shortest, args.longest))
    print(f"prompts in {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
