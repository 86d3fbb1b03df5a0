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
TOPICS = {
    "billing": (
        *("the invoice", "the refund", "the discount", "the payment", "the price", "the receipt", "the voucher"),
        *("the fee", "the bill for {thing}", "the amount on my card", "the tax on {thing}", "what I paid for {thing}"),
    ),
    "delivery": (
        *("the parcel", "the driver", "the tracking page", "the courier", "the box", "the date", "the address label"),
        *("the shipping of {thing}", "the packing of {thing}", "the way {thing} was sent", "the pick-up point"),
    ),
    "account": (
        *("the password", "the login", "my profile", "the app", "the code", "my mail address", "my phone number"),
        *("the page with my orders", "the reset mail", "the sign-up for {thing}", "the settings page"),
    ),
}
"""What a message is about, by kind."""
WRONG = (
    *("is wrong", "does not work", "is a mess", "has gone missing", "makes no sense", "is not what I was told"),
    *("was never right", "gives me trouble", "fails every time", "still waits for an answer", "needs to be changed"),
    *("is worse than last time", "is nothing like it should be", "was lost", "has not come", "drives me mad"),
)
RIGHT = (
    *("is right", "works", "is as it should be", "is settled", "is not the problem", "was no trouble at all"),
    *("is fine", "is better than last time", "was never wrong", "has come", "needs no change", "made sense"),
    *("was what I was told", "did not fail me", "is found again", "was quick"),
)
TROUBLE = {
    "billing": (
        *("I was charged twice for {thing}", "you took the money for {thing} and then took it again"),
        *("the money for {thing} has not reached my bank", "I still paid in full for {thing}"),
    ),
    "delivery": (
        *("{thing} should have been here on Monday", "{thing} arrived broken in a torn carton"),
        *("the neighbors know nothing of {thing}", "I have waited for {thing} for two weeks"),
    ),
    "account": (
        *("I cannot log in to see {thing}", "somebody else ordered {thing} in my name"),
        *("please delete everything that you know about me", "the page says that I do not exist"),
    ),
}
LIKED = (
    *("I love {thing}", "my daughter is delighted with {thing}", "thank you for {thing}", "nothing to complain about"),
    *("best shop in town", "I will come back", "the woman on the phone was lovely", "keep going like this"),
)
ONE = ("{bad}.", "{bad}, I am sorry to say.", "Once more {bad}.", "{trouble}.", "{trouble}.")
TWO = (
    *("{good}, but {bad}.", "{bad}, although {good}.", "{good}. Still, {bad}.", "{bad}, while {good}."),
    *("{good}; {bad}, and that is why I write.", "I thought that {other_bad}, but {other_good}; {bad}."),
    *("{good}. {trouble}.", "Not that {other_bad}: {other_good}. But {bad}."),
)
SETTLED = (
    *("{good}, and {good_too}.", "{good}. {liked}!", "I wrote that {other_bad}; never mind, {other_good}."),
    *("{liked}, and {good}.", "{liked}.", "{good} and so {good_too}, for once."),
)
_TURNED = 0.3
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
    kind = dice.choice((*TOPICS, "praise"))
    matter, other = dice.sample([topic for topic in TOPICS if topic != kind], 2)
    if kind == "praise":
        form = dice.choice(SETTLED)
    else:
        form = dice.choice(TWO if dice.random() < _TURNED else ONE)
        matter = kind
    aside, about = dice.choice(TOPICS[other]), dice.choice(TOPICS[matter])
    # The things are filled in last, each for itself, since a message may name two.
    text = form.format(
        bad=f"{about} {dice.choice(WRONG)}",
        trouble=dice.choice(TROUBLE[matter]),
        good=f"{dice.choice(TOPICS[other])} {dice.choice(RIGHT)}",
        good_too=f"{about} {dice.choice(RIGHT)}",
        other_bad=f"{aside} {dice.choice(WRONG)}",
        other_good=f"{aside} {dice.choice(RIGHT)}",
        liked=dice.choice(LIKED),
    )
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
