"""What is asked about a text, and how text and instruction are put together. All of it is our own."""
import re

READING = ["Summarize the text above in a few sentences.", "What are the main points of this text?", "Explain the text in simple words for a beginner.",
    "List the most important facts stated above.", "What does the author recommend, and why?", "Write a short paragraph that continues this text.",
    "Which terms are introduced here, and what do they mean?", "Rewrite the passage in a more formal style.", "What is the purpose of what is described here?",
    "Give three questions that this text answers, with their answers.", "What conclusions can be drawn from the text?",
    "Write a headline and a one-paragraph summary.", "Describe what happens in the text, step by step.", "Who or what is the text about?",
    "Translate the first paragraph into French.", "Report the text as a short news item.", "Which numbers and dates does the text mention?"]
CODING = ["Explain what this code does.", "Write a docstring for the last function.", "Are there any mistakes in this code?",
    "Describe the functions defined above and how they relate.", "Write a short test for this code.", "How would you simplify this code?",
    "Which errors can this code raise, and when?", "Write the next function of this file.", "Which functions are defined here? List their names and arguments."]
TALK = ["Summarize the conversation.", "What does the last speaker want?", "Who are the people speaking, and what is their relationship?",
    "How might the conversation continue?", "What conflict is described in this dialogue?", "Describe the mood of the scene."]
GERMAN = ["Fasse den Text in wenigen Sätzen zusammen.", "Was sind die wichtigsten Punkte dieses Textes?", "Translate the main idea of this text into English."]
FRENCH = ["Résume ce texte en quelques phrases.", "Quels sont les points essentiels de ce texte ?", "Translate the main idea of this text into English."]
SPANISH = ["Resume el texto en pocas frases.", "¿Cuáles son los puntos principales?", "Explain in English what this text says."]
ITALIAN = ["Riassumi il testo in poche frasi.", "Quali sono i punti principali di questo testo?", "Explain in English what this text says."]
PORTUGUESE = ["Resuma o texto em poucas frases.", "Quais são os pontos principais deste texto?", "Explain in English what this text says."]
CHINESE = ["请用几句话总结上面的内容。", "这段文字的要点是什么？", "Explain in English what this text says.", "请继续写下去。"]
JAPANESE = ["上の文章を短く要約してください。", "この文章の要点は何ですか。"]
CHAT = ["Write a short story about {}.", "Explain how {} works to a child.", "Give me ten ideas for an article about {}.",
    "What should I know before I start learning about {}?", "Write an email that asks for help with {}. Be polite, and say what was tried before.",
    "Compare two ways to deal with {}.", "Draft a speech about {} for a town meeting."]
TOPICS = ["a lighthouse keeper who collects clocks", "compound interest", "growing tomatoes on a balcony", "the water cycle", "public libraries",
    "repairing a bicycle", "night trains", "bread and yeast", "the history of maps", "noise in cities", "learning the violin", "tides",
    "a robot that is afraid of rain", "recycling glass", "chess openings", "migrating birds"]
PLACES = ["north gate", "archive", "boiler room", "greenhouse", "harbour office", "lighthouse", "east wing", "library", "signal tower", "mill",
    "observatory", "workshop"]
THINGS = ["access code", "opening year", "keeper's number", "storage limit", "inspection day", "contact number", "serial number", "password"]
PEOPLE = ["Mara Lindqvist", "Tomas Okafor", "Ines Caldera", "Jonas Weber", "Aiko Tanaka", "Peter Novak", "Leila Haddad", "Sam Whitfield"]


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


def asked(rng, text):
    """A question about one of the text's own sentences."""
    sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s|\n", text) if 8 < len(s.split()) < 60]
    words = (rng.choice(sentences) if sentences else text).split()
    start = rng.randrange(max(1, len(words) - 6))
    phrase = " ".join(words[start : start + rng.choice([2, 3, 5])]).strip(".,;:()")
    return framed(rng, text, [f"What does the text say about \"{phrase}\"?", f"Quote the sentence in which \"{phrase}\" appears, and explain it.",
        f"Using only the document, answer: what is meant by \"{phrase}\"?", f"How does the sentence with \"{phrase}\" go on?"])


def needle(rng, text):
    """Facts hidden in unrelated text at random depths, one of them asked for."""
    paragraphs, facts = text.split("\n"), []
    for _ in range(rng.choice([1, 1, 2, 4])):
        place, thing, value = rng.choice(PLACES), rng.choice(THINGS), str(rng.randrange(100, 99999))
        facts.append((place, thing))
        form = rng.choice(["The {t} of the {p} is {v}.", "Remember that {v} is the {t} of the {p}.", "{n} noted the {t} for the {p}: {v}."])
        paragraphs.insert(rng.randrange(len(paragraphs) + 1), form.format(t=thing, p=place, v=value, n=rng.choice(PEOPLE)))
    place, thing = rng.choice(facts)
    ask = rng.choice(["What is the {t} of the {p}?", "According to the text, what is the {t} of the {p}? Quote the sentence.",
        "Find the {t} of the {p} and explain where the text mentions it."])
    return "\n".join(paragraphs) + "\n\n" + ask.format(t=thing, p=place)


def table(rng, n):
    """Records to look things up in."""
    rows = []
    while sum(map(len, rows)) < n:
        rows.append(f"{rng.choice(PEOPLE)} | {rng.choice(PLACES)} | {rng.choice(THINGS)} | {rng.randrange(1, 999)}")
    name = rng.choice(rows).split(" | ")[0]
    ask = rng.choice([f"List everything recorded for {name}.", "Which place appears most often?", "Sum up the table in two sentences.",
        f"Which numbers belong to {name}?"])
    return "Name | Place | Item | Amount\n" + "\n".join(rows) + "\n\n" + ask


def chatter(rng):
    """A request without a text."""
    return " ".join(rng.choice(CHAT).format(rng.choice(TOPICS)) for _ in range(rng.choice([2, 3, 4])))
