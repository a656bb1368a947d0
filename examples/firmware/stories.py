#!/usr/bin/env python3
"""Writes short stories from sentences and word lists of our own, as many as asked for: the text that train_stories.py learns.

    stories.py COUNT [SEED]      one story a line

Each story has a hero, a friend, a place, a thing and a mishap that fit each other, so that a model has to remember them."""

import random
import sys

HEROES = {  # kind: (how it is, what it likes)
    "cat": ("small", "fish"), "dog": ("brave", "bones"), "rabbit": ("quick", "carrots"), "bear": ("big", "honey"),
    "mouse": ("tiny", "cheese"), "fox": ("clever", "berries"), "duck": ("yellow", "bread"), "owl": ("wise", "quiet nights"),
}
NAMES = {"he": ("Tom", "Max", "Ben", "Sam", "Leo", "Tim"), "she": ("Lily", "Mia", "Anna", "Sue", "Ella", "Nora")}
POSSESSIVE = {"he": "his", "she": "her"}
OBJECT = {"he": "him", "she": "her"}
PLACES = {  # place: things that one finds there
    "in the forest": ("a red leaf", "an old map", "a little lamp"),
    "by the river": ("a blue stone", "a wooden boat", "a lost shoe"),
    "on the hill": ("a green kite", "a silver bell", "a warm blanket"),
    "in the garden": ("a golden key", "a round pot", "a white flower"),
}
MISHAPS = {  # mishap: what helps
    "the wind took {thing} away": "climbed the tall tree and got it back",
    "the rain began to fall": "found a dry cave and waited there",
    "{thing} fell into a deep hole": "dug in the ground until it came out",
    "the sun went down and it was dark": "made a fire and sang a song",
}
FEELINGS = {"sad": "happy", "afraid": "calm", "angry": "glad"}
LESSONS = ("a friend is the best thing to have", "it is good to help", "two can do more than one", "it is good to share")


def thing_again(thing):
    return "the " + thing.split(" ", 1)[1]


def story(rng):
    kind, (nature, food) = rng.choice(list(HEROES.items()))
    friend_kind = rng.choice([other for other in HEROES if other != kind])
    who, friend_who = rng.choice(("he", "she")), rng.choice(("he", "she"))
    name = rng.choice(NAMES[who])
    friend = rng.choice([other for other in NAMES[friend_who] if other != name])
    place, things = rng.choice(list(PLACES.items()))
    thing = rng.choice(things)
    mishap, help_text = rng.choice(list(MISHAPS.items()))
    before, after = rng.choice(list(FEELINGS.items()))
    again, they = thing_again(thing), who.capitalize()
    sentences = [
        f"Once there was a {nature} {kind} named {name}.",
        rng.choice((f"{name} lived {place} and liked {food}.", f"{they} lived {place}, and {who} liked {food}.")),
        rng.choice((f"One day {name} found {thing}.", f"One morning {who} found {thing} there.")),
        rng.choice((f"{name} wanted to show it to {POSSESSIVE[who]} friend {friend}, the {friend_kind}.",
                    f"{they} took it to {friend}, the {friend_kind}.")),
        rng.choice(("But then ", "On the way ")) + mishap.format(thing=again) + ".",
        f"{name} was very {before}.",
        f'"Do not be {before}," said {friend}, "we can do it together."',
        f"So {name} and {friend} {help_text}.",
        rng.choice((f"Now {name} was {after} again.", f"{name} was {after} and thanked {OBJECT[friend_who]}.")),
        rng.choice((f"They ate {food} and went home.", f"In the evening they shared some {food}.")),
        rng.choice((f"{name} learned that {rng.choice(LESSONS)}.", "And they were friends for ever.")),
    ]
    return " ".join(sentences)


def stories(count, seed=1):
    rng = random.Random(seed)
    return [story(rng) for _ in range(count)]


def words():
    """Every word that a story can have, without punctuation."""
    text = " ".join(stories(4000, 0))
    return {word.strip('.,"') for word in text.split()}


if __name__ == "__main__":
    for line in stories(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1):
        print(line)
