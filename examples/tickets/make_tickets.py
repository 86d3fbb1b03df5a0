"""Write the files of the tutorials: made-up messages to a shop, of four kinds.

The files beside this program are what it wrote.

python examples/tickets/make_tickets.py
"""

import csv
import random
from pathlib import Path

OPENINGS = (
    "Hello,",
    "Hi there,",
    "Good morning,",
    "Dear team,",
    "To whom it may concern,",
    "",
    "",
    "Second message this week:",
)
KINDS = {
    "billing": (
        (
            "I was charged twice for",
            "The invoice is wrong for",
            "You billed me too much for",
            "Where is my receipt for",
        ),
        ("my last order", "the monthly plan", "two pairs of shoes", "a jacket that I never ordered", "the blue lamp"),
        (
            "and my bank confirms it.",
            "please correct the amount.",
            "the tax is not right either.",
            "I want the money back.",
        ),
    ),
    "delivery": (
        (
            "I am still waiting for",
            "The courier lost",
            "There is no trace of",
            "The tracking page shows nothing about",
        ),
        ("my last order", "the blue lamp", "two pairs of shoes", "a parcel to Leeds", "the birthday present"),
        (
            "it should have been here on Monday.",
            "the driver never rang.",
            "please tell me the new date.",
            "the box came empty.",
        ),
    ),
    "account": (
        ("I cannot log in to", "The password does not work for", "Please delete", "Somebody else has opened"),
        ("my account", "the shop's app", "my profile", "the page with my orders", "the customer area"),
        (
            "the reset mail never came.",
            "the code is always refused.",
            "it says that I do not exist.",
            "I changed my phone.",
        ),
    ),
    "praise": (
        ("I love", "Thank you for", "Nothing is wrong with", "My daughter is delighted with"),
        ("my last order", "the blue lamp", "your fast courier", "the friendly woman on the phone", "the new app"),
        ("keep going like this.", "I will come back.", "best shop in town.", "no complaint at all this time."),
    ),
}
NEW = (
    "My card was charged two times, please give me the money back.",
    "Where is my parcel? The driver never rang.",
    "The reset mail for my password never came.",
    "What a lovely lamp, thank you!",
    "",
    "I was billed for shoes that the courier lost.",
)


def messages(count: int, seed: int) -> list[tuple[str, str]]:
    """Return `count` different (text, label) pairs in random order."""
    chosen = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        label = chosen.choice(list(KINDS))
        parts = [chosen.choice(OPENINGS), *(chosen.choice(choices) for choices in KINDS[label])]
        found[" ".join(part for part in parts if part)] = label
    return list(found.items())


def main() -> None:
    """Write tickets.csv (text, label) and new_tickets.csv (number, text)."""
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
