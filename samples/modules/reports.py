"""Invented news: reports of companies, markets, governments, weather, sport and science, with names, dates and figures that nobody else wrote."""
from instructions import READING, framed

FIRST = ["Anna", "Viktor", "Ruth", "Hamid", "Grace", "Paulo", "Ingrid", "Kofi", "Mei", "Stefan", "Clara", "Rajesh", "Nadia", "Owen", "Yuki", "Carlos"]
LAST = ["Brandt", "Osei", "Marchetti", "Lund", "Farouk", "Delgado", "Whitaker", "Nowak", "Chandra", "Petrov", "Hale", "Moreau", "Tan", "Vargas", "Keller",
    "Adeyemi"]
CITIES = ["Lisbon", "Rotterdam", "Nairobi", "Winnipeg", "Osaka", "Lima", "Gdansk", "Bergen", "Tunis", "Perth", "Zagreb", "Antwerp", "Montevideo", "Leeds",
    "Denver", "Busan"]
LANDS = ["Norway", "Kenya", "Chile", "Portugal", "Indonesia", "Canada", "Poland", "Morocco", "New Zealand", "Peru", "Finland", "Vietnam", "Ghana", "Austria"]
GOODS = ["copper", "coffee", "wheat", "natural gas", "timber", "cocoa", "steel", "soybeans", "cotton", "tin", "rubber", "palm oil", "zinc", "sugar"]
TRADES = ["shipping", "bank", "paper", "food", "textile", "cement", "airline", "insurance", "chemical", "machine tool", "brewing", "railway", "mining",
    "furniture"]
FIRMS = ["Harrow & Lyle", "Nordhavn Group", "Castellan Holdings", "Pinecrest Industries", "Velmar SA", "Tri-County Foods", "Osprey Air", "Delta Milling",
    "Kestrel Mining", "Brightwater Bank", "Sundal AS", "Redfern Stores", "Ostrava Works", "Lakeland Paper", "Marlin Shipping", "Corvo Chemicals"]
MONTHS = ["January", "March", "April", "June", "July", "September", "October", "December"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
BODIES = ["the finance ministry", "the central bank", "the city council", "the national statistics office", "the harbour authority", "the farm ministry",
    "the energy regulator", "the transport board"]

HEADS = {
    "company": ["{F} TO BUY {p} PCT OF {G}", "{F} REPORTS HIGHER QUARTERLY PROFIT", "{F} plans to close {c} plant", "{F} and {G} end merger talks",
        "{F} names new chairman", "{F} raises dividend after record year"],
    "market": ["{g} PRICES FALL AS STOCKS GROW", "{l} RAISES {g} EXPORT TAX", "{g} traders await {l} harvest", "{l} seeks new {g} agreement",
        "{c} exchange halts {g} trading"],
    "state": ["{l} PARLIAMENT PASSES BUDGET", "{l} trade gap narrows", "{c} votes on new tramway", "Talks between {l} and {k} resume",
        "{l} CENTRAL BANK HOLDS RATE AT {q} PCT", "Strike ends at {c} port"],
    "event": ["Storm leaves thousands without power near {c}", "{c} wins final after extra time", "Researchers in {c} map ancient river",
        "Museum in {c} reopens after {n} years", "Fire damages warehouse in {c}", "New bridge opens in {c}"],
}
FIRST_LINES = {
    "company": ["{F} said it agreed to acquire {p} pct of {G}, a {t} company based in {c}, for {m} mln dollars in cash.",
        "{F}, the {c}-based {t} concern, said net profit rose to {m} mln dollars in the quarter ended {M} {d} from {o} mln a year earlier.",
        "The {t} company {F} will cut {w} jobs in {c} and move production to {k}, its chairman {N} said on {D}.",
        "Shareholders of {F} approved the sale of its {t} division to {G}, a spokesman said in {c}."],
    "market": ["{l}'s {g} exports rose to {w} tonnes in {M} from {v} tonnes a year ago, figures from {b} showed on {D}.",
        "Prices for {g} fell {q} pct on {D} as traders in {c} reacted to reports of larger stocks in {l}.",
        "{l} and {k} signed a {n}-year agreement on {g} under which {l} will deliver {w} tonnes a year, officials in {c} said.",
        "A shortage of rain has cut {l}'s {g} crop by about {p} pct, {b} estimated in a report issued in {c}."],
    "state": ["{l}'s parliament approved a budget of {m} bln dollars on {D} after {n} hours of debate, ending weeks of dispute over {t} subsidies.",
        "Inflation in {l} slowed to {q} pct in {M}, {b} said, the lowest figure since {y}.",
        "Dock workers in {c} returned to work on {D} after {n} days when employers offered a rise of {q} pct.",
        "Ministers of {l} and {k} met in {c} to discuss fishing limits and a railway that has been planned since {y}."],
    "event": ["A storm with winds of {s} km an hour crossed the coast near {c} on {D}, cutting power to {w} homes, {b} said.",
        "Archaeologists in {l} have found the remains of a market that may have been used {v} years ago, the project's leader {N} said.",
        "{c} beat {e} {n}-2 on {D} before a crowd of {w}, its first victory in the cup since {y}.",
        "The museum of technology in {c} opened its doors again on {D} after repairs that cost {m} mln dollars and took {n} years."],
}
LATER = {
    "company": ["{F} already holds {o} pct of {G}'s shares, which closed at {q} dollars in {c} on {D}.",
        "Sales increased to {m} mln dollars from {o} mln, helped by demand in {l} and {k}.", "The results include a one-time gain of {q} mln dollars from the "
        "sale of land near {e}.", "The company employs {w} people in {n} countries and expects to spend {o} mln dollars on new equipment in {y}.",
        "Analysts had expected {q} dollars a share. {N} of {B} said the figures were better than feared but that costs for {g} would remain high.",
        "The offer depends on approval by {b}, which is expected to decide by the end of {M}.", "{F} was founded in {c} in {y} and sold its last {t} "
        "business {n} years ago.", "Debt stood at {m} mln dollars on {M} {d}, {o} mln less than a year before.",
        "Directors of {G} have not yet commented on the plan; a union representative called it a blow to {e}."],
    "market": ["Stocks in warehouses at {c} and {e} reached {w} tonnes, the highest level since {y}.", "One trader said buyers from {k} had postponed orders "
        "until after the {M} meeting.", "The agreement sets a price of {s} dollars a tonne, with a review after {n} months.",
        "{l} is the world's third largest producer of {g} after {k} and {L}.", "A further fall of {q} pct would make many mines unprofitable, {N} of {B} said.",
        "Freight rates from {c} to {e} rose by {p} dollars a tonne because of a lack of ships.", "Consumption is forecast to grow by {q} pct a year, {b} said, "
        "while output will hardly change before {y}.", "Farmers' groups in {l} asked for support prices of at least {s} dollars."],
    "state": ["The opposition leader {N} said the measures came too late and would hurt pensioners.", "Under the plan, spending on schools will rise by {q} pct "
        "and a tax on {g} will be dropped from {M} {d}.", "The deficit is put at {p} pct of national output, against {o} pct in {y}.",
        "A vote is due on {D}; {n} of the coalition's members have said that they will abstain.", "Exports were worth {m} mln dollars and imports {o} mln, "
        "according to {b}.", "{N}, who led the talks for {k}, described them as frank and useful.", "The line would run from {c} to {e} and carry {w} "
        "passengers a day.", "Officials said a second round would be held in {E} in {M}."],
    "event": ["Nobody was hurt, but {n} families had to leave their homes, a spokeswoman for the fire brigade said.", "\"We have not seen anything like it since "
        "{y},\" said {N}, who has lived in {c} for {p} years.", "Repairs are expected to take {n} weeks and to cost about {o} mln dollars.",
        "Schools in {c} and {e} will remain closed until {D}.", "The samples will be examined in {E}, where a similar find was described in {y}.",
        "{N} scored twice in the second half and was carried from the field by supporters.", "More than {w} visitors came on the first day, {s} of them "
        "from abroad.", "The work was paid for by {B} and by {b}."],
}


class Names(dict):
    """What stands for each letter in one report: companies and places stay what they are, figures are new each time."""

    def __init__(self, rng):
        f, c, l = rng.sample(FIRMS, 3), rng.sample(CITIES, 3), rng.sample(LANDS, 3)
        super().__init__(F=f[0], G=f[1], B=f[2], c=c[0], e=c[1], E=c[2], l=l[0], k=l[1], L=l[2], g=rng.choice(GOODS), t=rng.choice(TRADES),
            b=rng.choice(BODIES), N=f"{rng.choice(FIRST)} {rng.choice(LAST)}")
        self.rng = rng

    def __missing__(self, letter):
        r = self.rng
        return {"p": r.randrange(3, 80), "q": round(r.uniform(0.3, 14), 1), "m": round(r.uniform(20, 900), 1), "o": round(r.uniform(2, 400), 1),
            "n": r.randrange(3, 12), "w": f"{r.randrange(900, 90000):,}", "v": f"{r.randrange(500, 9000):,}", "s": r.randrange(90, 900),
            "y": r.randrange(1931, 2009), "d": r.randrange(1, 31), "M": r.choice(MONTHS), "D": r.choice(DAYS)}[letter]


def story(rng, n):
    """About n characters of one report."""
    kind, names = rng.choice(list(HEADS)), Names(rng)
    head = rng.choice(HEADS[kind]).format_map(names)
    lines = [head.upper() if head[:4].isupper() else head, rng.choice(FIRST_LINES[kind]).format_map(names)]
    later = rng.sample(LATER[kind], len(LATER[kind]))
    while later and sum(map(len, lines)) < n:
        lines.append(" ".join(later.pop().format_map(names) for _ in range(min(len(later), rng.choice([1, 1, 2])))))
    return [line[0].upper() + line[1:] for line in lines]


def report(rng, n):
    """One report, or several as in a digest, and what is asked about them."""
    lines = []
    while sum(map(len, lines)) < n:
        lines += story(rng, n - sum(map(len, lines)))
    return framed(rng, "\n".join(lines), READING)
