"""Write the files of the tutorials: made-up messages to a shop, of four kinds.

The files beside this program are what it wrote. Many messages name two things, and only one of them is the matter: "The
parcel came in time, but I was charged twice." Whoever counts words finds both; the kind is what the writer wants.

python examples/tickets/make_tickets.py
"""

import csv
import random
from pathlib import Path

THINGS = (
    *("the blue lamp", "my last order", "two pairs of shoes", "the winter jacket", "the birthday present", "the desk"),
    *(
        "a set of glasses",
        "the headphones",
        "the garden chairs",
        "my mother's coat",
        "the monthly box",
        "the gift card",
    ),
)
OPENINGS = (*("Hello,", "Hi there,", "Good morning,", "Dear team,"), *("",) * 5, "Second message this week:", "Hm.")
CLOSINGS = (
    *("Can you look into it?", "Please help.", "I have been a customer for years.", "What now?", "Many thanks."),
    *("I wait for your answer.", "It is about {thing}.", "Kind regards, Ada", "Order 4711, by the way."),
    *("",) * 6,
)
TROUBLE = {
    "billing": (
        *("I was charged twice for {thing}", "the invoice for {thing} shows the wrong amount"),
        *("the discount for {thing} is missing from the bill", "you took the money for {thing} and then took it again"),
        *("the refund for {thing} has not reached my bank", "my card was charged for {thing} that I cancelled"),
        *("the price at the end was higher than the one on the page", "I need a receipt for {thing}"),
        *("the voucher was accepted and I still paid in full", "the tax on {thing} cannot be right"),
        *("the fee comes off every month although I ended the plan", "my payment for {thing} is shown as open"),
    ),
    "delivery": (
        *("{thing} should have been here on Monday", "the driver never rang and took {thing} away again"),
        *("the tracking page has shown nothing about {thing} for days", "the box with {thing} came empty"),
        *("{thing} went to the neighbors and they know of nothing", "half of {thing} is missing from the parcel"),
        *("the parcel with {thing} was left in the rain", "{thing} was sent to my old address"),
        *("I have waited for {thing} for two weeks", "the courier says that {thing} came back to you"),
        *("{thing} arrived broken in a torn carton", "please send {thing} to another street"),
    ),
    "account": (
        *("I cannot log in to see {thing}", "the password is refused on every device"),
        *("the mail for a new password never comes", "somebody else ordered {thing} in my name"),
        *("please delete my profile", "my phone number is wrong and the code goes to a stranger"),
        *("the app throws me out when I open {thing}", "I want to change the mail address of my account"),
        *("my two accounts should become one", "the page says that I do not exist"),
        *("my name is spelled wrong in the profile", "I did not agree to your letters and want none"),
    ),
}
FINE = {
    "billing": (
        *("the invoice was right", "the refund came the next day", "the price was fair", "paying took a minute"),
        *("the discount was taken off at once", "the bill for {thing} is paid", "the receipt was in the mail"),
    ),
    "delivery": (
        *("{thing} came in time", "the driver rang and was kind", "the parcel was packed well"),
        *("the tracking page was right to the minute", "{thing} is here", "the courier even came back in the evening"),
    ),
    "account": (
        *("logging in works again", "the new password came at once", "the app is easy to use"),
        *("my profile is up to date", "the code reached my phone", "I found {thing} in my account"),
    ),
}
LIKED = (
    *("I love {thing}", "my daughter is delighted with {thing}", "thank you for {thing}", "nothing to complain about"),
    *("best shop in town", "I will come back", "the woman on the phone was lovely", "keep going like this"),
)
TURNS = (
    *("{fine}, but {trouble}.", "{fine}, yet {trouble}.", "{trouble}, although {fine}.", "{fine}. Still, {trouble}."),
    *("It is not that {other_trouble}, that is settled; {trouble}.", "{trouble}, while {fine}."),
)
SETTLED = (
    *("First {trouble}, then you mended it and {fine}.", "I wrote that {trouble}; never mind, {fine}, {liked}."),
    *(
        "{fine}, and {liked}.",
        "{liked}, and {fine}.",
        "{liked}. {fine}!",
        "No trouble that {trouble} any more: {liked}.",
    ),
)
_TURNED = 0.62
"""Part of the messages that name a second thing."""
NEW = (
    "My card was charged two times, please give me the money back.",
    "Where is my parcel? The driver never rang.",
    "The reset mail for my password never came.",
    "What a lovely lamp, thank you!",
    "",
    "The lamp came in time, but the invoice is wrong.",
)


def message(dice: random.Random) -> tuple[str, str]:
    """Return one message and its kind."""
    kind = dice.choice((*TROUBLE, "praise"))
    topics = [topic for topic in TROUBLE if topic != kind]
    topic = dice.choice(topics)
    if kind == "praise":
        form = dice.choice(SETTLED) if dice.random() < _TURNED else "{liked}."
        trouble = dice.choice(TROUBLE[topic])
    else:
        form = dice.choice(TURNS) if dice.random() < _TURNED else "{trouble}."
        trouble = dice.choice(TROUBLE[kind])
    parts = {
        "trouble": trouble,
        "other_trouble": dice.choice(TROUBLE[topic]),
        "fine": dice.choice(FINE[topic]),
        "liked": dice.choice(LIKED),
    }
    # The things are filled in last, each for itself, since a message may name two.
    text = form.format(**parts)
    while "{thing}" in text:
        text = text.replace("{thing}", dice.choice(THINGS), 1)
    words = [dice.choice(OPENINGS), _sentences(text), dice.choice(CLOSINGS).replace("{thing}", dice.choice(THINGS))]
    return " ".join(part for part in words if part), kind


def _sentences(text: str) -> str:
    """Return a text whose sentences begin with capitals."""
    sentences = text.split(". ")
    return ". ".join(sentence[:1].upper() + sentence[1:] for sentence in sentences)


def messages(count: int, seed: int) -> list[tuple[str, str]]:
    """Return `count` different (text, kind) pairs in random order."""
    dice = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        text, kind = message(dice)
        found.setdefault(text, kind)
    return list(found.items())


def main() -> None:
    """Write tickets.csv (message, kind) and new_tickets.csv (number, message)."""
    folder = Path(__file__).resolve().parent
    with (folder / "tickets.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("message", "kind"))
        writer.writerows(messages(600, seed=1))
    with (folder / "new_tickets.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("number", "message"))
        writer.writerows((f"{index:03d}", text) for index, text in enumerate(NEW, start=1))


if __name__ == "__main__":
    main()
