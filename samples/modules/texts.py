"""Text for prompts: Debian packages with free licences, fetched by name with apt-get and unpacked, never installed.

A Source holds pages, each a list of paragraphs (functions, spoken lines, entries), and cuts stretches of a wanted size from them.
"""
import gzip
import html
import html.parser
import lzma
import re
import subprocess
import zlib

# package: (licence, what it gives)
TRAINING = {
    "anarchism": ("GFDL-1.2 without invariant sections or GPL-2+", "essays"),
    "debian-faq": ("GPL-2+", "prose"),
    "debian-handbook": ("GPL-2+ or CC-BY-SA-3.0", "prose, English and Spanish"),
    "debian-history": ("GPL-2+", "prose"),
    "debian-policy": ("GPL-2+", "prose"),
    "debian-reference-en": ("GPL-2+", "prose"),
    "git-doc": ("GPL-2", "manual"),
    "postgresql-doc-15": ("PostgreSQL", "manual"),
    "python3.11-doc": ("PSF-2", "manual"),
    "dict-foldoc": ("GFDL-1.1+", "encyclopedia"),
    "dict-jargon": ("public domain", "encyclopedia"),
    "libpython3.11-stdlib": ("PSF-2", "Python"),
    "golang-golang-x-tools-dev": ("BSD-3-clause", "Go"),
    "node-lodash": ("MIT", "JavaScript"),
    "wesnoth-1.16-did": ("GPL-2+", "dialogue"),
    "wesnoth-1.16-l": ("GPL-2+", "dialogue"),
    "wesnoth-1.16-sof": ("GPL-2+", "dialogue"),
    "wesnoth-1.16-thot": ("GPL-2+", "dialogue"),
    "wesnoth-1.16-ttb": ("GPL-2+", "dialogue"),
    "debian-reference-zh-cn": ("GPL-2+", "Chinese prose"),
    "debian-faq-zh-cn": ("GPL-2+", "Chinese prose"),
    "manpages-zh": ("GPL-2+ and the manuals' own", "Chinese manual"),
    "fortunes-zh": ("GPL-2+", "Chinese verse"),
    "debian-reference-de": ("GPL-2+", "German prose"),
    "developers-reference-fr": ("GPL-2+", "French prose"),
}
# Trained on from the third stage on.
WIDER = {
    "endless-sky-data": ("GPL-3+", "scenes"),
    "freeciv-data": ("GPL-2+", "encyclopedia"),
    "gnome-user-docs": ("CC-BY-SA-3.0", "manual, English, German, French, Spanish and Chinese"),
    "harden-doc": ("GPL-2", "manual"),
    "installation-guide-amd64": ("GPL-2", "manual, German, French, Spanish and Chinese"),
    "linux-doc-6.1": ("GPL-2", "essays"),
    "miscfiles": ("public domain", "charters"),
    "python-django-doc": ("BSD-3-clause", "announcements"),
    "r-cran-janeaustenr": ("public domain", "novels"),
    "sqlite3-doc": ("public domain", "essays and announcements"),
    "stellarium-data": ("GPL-2+", "magazine, English, German, French, Spanish and Chinese"),
    "systemd": ("LGPL-2.1+", "announcements"),
    "debian-faq-de": ("GPL-2+", "German prose"),
    "debian-faq-fr": ("GPL-2+", "French prose"),
    "developers-reference-de": ("GPL-2+", "German prose"),
    "aptitude-doc-fr": ("GPL-2+", "French manual"),
}
# Trained on in the fifth stage.
WIDEST = {
    "cfi-en": ("public domain", "essays"),
    "debian-kernel-handbook": ("GPL-2+", "prose"),
    "debian-paketmanagement-buch": ("CC-BY-SA-4.0", "German prose"),
    "dict-devil": ("public domain", "encyclopedia"),
    "freedombox-doc-en": ("CC-BY-SA", "manual"),
    "gnucash-docs": ("GFDL-1.1+ without invariant sections", "essays on money, English, German, Italian and Portuguese"),
    "homebank-data": ("GPL-2+", "manual"),
    "lilypond-doc-html": ("GFDL-1.3+", "essays and encyclopedia"),
    "mh-book": ("GPL-2+", "prose"),
    "rust-doc": ("MIT or Apache-2.0", "prose"),
    "wireshark-doc": ("GPL-2+", "manual"),
}
# Never trained on: the modules are judged by these.
HELD_OUT = {
    "r-cran-tm": ("GPL-3, with a sample of Reuters-21578", "news"),
    "apache2-doc": ("Apache-2.0", "manual"),
    "perl-modules-5.36": ("GPL-1+ or Artistic", "Perl"),
    "libruby3.1": ("Ruby or BSD-2-clause", "Ruby"),
    "wesnoth-1.16-httt": ("GPL-2+", "dialogue"),
    "maint-guide-zh-cn": ("GPL-2+", "Chinese prose"),
    "maint-guide-de": ("GPL-2+", "German prose"),
    "maint-guide-fr": ("GPL-2+", "French prose"),
    "debian-reference-ja": ("GPL-2+", "Japanese prose"),
}


def fetch(package, cache):
    """Unpacks a package under cache/package, once."""
    target = cache / package
    if target.is_dir():
        return target
    subprocess.run(["apt-get", "download", "-q", package], cwd=cache, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    archive = next(cache.glob(package + "_*.deb"))
    subprocess.run(["dpkg", "-x", str(archive), str(target)], check=True)
    return target


class Source:
    SHORTEST_PAGE = 400

    def __init__(self, pages):
        self.pages = [page for page in pages if sum(map(len, page)) >= self.SHORTEST_PAGE]

    def take(self, rng, n):
        """About n characters of one page, cut at paragraphs; pages follow each other where one is too short."""
        page = rng.choice(self.pages)
        for _ in range(8):
            if sum(map(len, page)) >= n:
                break
            page = rng.choice(self.pages)
        page = list(page)
        while sum(map(len, page)) < n:
            page += rng.choice(self.pages)
        start = rng.randrange(len(page))
        while start and sum(map(len, page[start:])) < n:
            start = max(0, start - 5)
        taken, size = [], 0
        for paragraph in page[start:]:
            if taken and size + len(paragraph) > n * 1.1:
                break
            taken.append(paragraph[: int(n * 1.1)])
            size += len(taken[-1])
            if size >= n:
                break
        return "\n".join(taken)


class Page(html.parser.HTMLParser):
    """The readable text of a page as paragraphs; headings become lines of their own."""

    BREAK = {"p", "div", "li", "h1", "h2", "h3", "h4", "h5", "tr", "dt", "dd", "pre", "section", "br", "table", "ul", "ol", "dl"}
    DROP = {"script", "style", "nav", "head", "footer", "button"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self.dropping, self.pre = [], 0, 0

    def handle_starttag(self, tag, attrs):
        self.dropping += tag in self.DROP
        self.pre += tag == "pre"
        if tag in self.BREAK:
            self.parts.append("\n")

    def handle_endtag(self, tag):
        self.dropping -= tag in self.DROP and self.dropping > 0
        self.pre -= tag == "pre" and self.pre > 0
        if tag in self.BREAK:
            self.parts.append("\n")

    def handle_data(self, data):
        if not self.dropping:
            self.parts.append(data if self.pre else re.sub(r"\s+", " ", data))

    def paragraphs(self):
        lines = [line.strip().replace("¶", "") for line in "".join(self.parts).split("\n")]
        return [line for line in lines if len(line) > 2]


def read(path):
    opener = gzip.open if path.suffix in (".gz", ".dz") else open
    with opener(path, "rt", encoding="utf-8", errors="ignore") as f:
        return f.read()


def page_paragraphs(path):
    page = Page()
    page.feed(read(path))
    return page.paragraphs()


def html_pages(root, pattern="*.html*", keep=lambda path: True, shortest=0):
    """Pages of a folder; `shortest` drops short paragraphs (cells of tables, captions)."""
    files = sorted(p for p in root.rglob(pattern) if p.is_file() and keep(p))
    return Source([[text for text in page_paragraphs(p) if len(text) >= shortest] for p in files])


def dictionary(path):
    entries = [re.sub(r"[{}]", "", e).strip() for e in re.split(r"\n(?=\S)", read(path))]
    entries = [e for e in entries if 120 < len(e) < 3000 and not e.startswith("00-database")]
    return Source([entries[i : i + 60] for i in range(0, len(entries), 60)])


def code(root, ending, block=r"\n(?=def |class |sub |async def |func |type |function |module )"):
    pages = []
    for path in sorted(p for p in root.rglob("*" + ending) if p.is_file()):
        pages.append([b.rstrip() for b in re.split(block, read(path)) if 40 < len(b) < 6000])
    return Source(pages)


def dialogue(roots):
    """Who says what in the campaigns of a game."""
    pages = []
    for path in (path for root in roots for path in sorted(root.rglob("*.cfg"))):
        lines = []
        for message in re.findall(r"\[message\](.*?)\[/message\]", read(path), re.S):
            who = re.search(r"(?:speaker|id)=\s*\"?([A-Za-z' ]+)", message)
            said = re.search(r"message=\s*_\s*\"(.*?)\"", message, re.S)
            if who and said:
                lines.append(f"{who.group(1).strip()}: {' '.join(said.group(1).split())}")
        if len(lines) > 8:
            pages.append(lines)
    return Source(pages)


def manual_pages(root, sections="15678"):
    """Manual pages without their roff."""
    pages = []
    for path in sorted(p for p in root.rglob("*.gz") if re.search(rf"/man[{sections}]/", str(p))):
        text = re.sub(r"(?m)^['.]\\\".*\n|^\.(?:S[HS]|B|I|BR|IR|TH)\b *", "", read(path))
        text = re.sub(r"(?m)^['.][A-Za-z].*$", "", text)
        text = re.sub(r"\\f[A-Z]|\\f\(..|\\f\[.*?\]|\\&|\\[,/|^]|\\s[-+]?\d", "", text).replace("\\-", "-").replace("\\e", "\\")
        pages.append([line.strip() for line in text.split("\n") if len(line.strip()) > 2])
    return Source(pages)


def verse(root, names):
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", read(next(root.rglob(name)))) for name in names]
    poems = [poem.strip() for text in plain for poem in text.split("\n%\n") if poem.strip()]
    return Source([poems[i : i + 80] for i in range(0, len(poems), 80)])


def legends(root):
    """What a game tells of every nation's history; short ones follow each other."""
    told = []
    for path in sorted(root.rglob("nation/*.ruleset")):
        for text in re.findall(r'^legend\s*=\s*_\("(.*?)"\)', read(path), re.S | re.M):
            told.append(" ".join(text.replace("\\\n", "").replace('\\"', '"').split()))
    told = [text for text in told if len(text) > 200]
    return Source([told[i : i + 12] for i in range(0, len(told), 12)])


def scenes(root):
    """The conversations of a game, told in paragraphs."""
    pages = []
    for path in sorted(root.rglob("data/*.txt")):
        for scene in read(path).split("conversation")[1:]:
            pages.append([line.strip() for line in re.findall(r"^\t\t\t`(.*?)`", scene, re.M) if "<" not in line])
    return Source(pages)


def announcements(path):
    """A NEWS file: a page a release, a paragraph an entry."""
    releases = re.split(r"\n(?=CHANGES WITH )", read(path))
    return Source([[" ".join(entry.split()) for entry in release.split("\n\n") if entry.strip()] for release in releases])


def plain(path):
    paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", read(path)) if len(p.split()) > 8]
    return [paragraphs[i : i + 60] for i in range(0, len(paragraphs), 60)]


def novels(root):
    """Books kept as R data: compressed blocks, in them strings (a line each) as flags, length, bytes."""
    packed, pages = next(root.rglob("data/Rdata.rdb")).read_bytes(), []
    while len(packed) > 5:  # length when unpacked; Z: xz, else zlib
        unpack, start = (lzma.LZMADecompressor(), 5) if packed[4:5] == b"Z" else (zlib.decompressobj(), 4)
        book = unpack.decompress(packed[start:])
        packed = unpack.unused_data
        lines = [line.decode("latin-1") for line in re.findall(rb"\x00\x04\x00\x09\x00\x00\x00[\x00-\x50]([^\x00]*)(?=\x00|$)", book)]
        paragraphs = [" ".join(p.split()) for p in "\n".join(lines).split("\n\n") if len(p.split()) > 8]
        pages += [paragraphs[i : i + 60] for i in range(0, len(paragraphs), 60)]
    return Source(pages)


def news(root):
    """Stories of a news agency, each a paragraph list; short ones follow each other as in a digest."""
    stories = []
    for path in sorted(root.rglob("reut*.xml")):
        for text in re.findall(r"<TEXT.*?</TEXT>", read(path), re.S):
            title, body = re.search(r"<TITLE>(.*?)</TITLE>", text, re.S), re.search(r"<BODY>(.*?)</BODY>", text, re.S)
            if title and body and len(body.group(1)) > 300:
                paragraphs = re.split(r"\n\s{2,}", html.unescape(body.group(1)))
                stories.append([html.unescape(title.group(1))] + [" ".join(p.split()) for p in paragraphs if len(p.split()) > 3])
    return Source(stories)
