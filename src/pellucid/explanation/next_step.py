"""The one thing that a reader of a card should do next, in a sentence or two."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.explanation.card import Card

__all__ = ["mismatch", "next_step"]

FAR = 4
"""How many times smaller or larger than the network's a picture's side is before the reader is told."""
SMALL = 64
"""Side in pixels up to which a network sees too little of a photograph."""

WITHOUT = (
    "Do not read this map as a reason for the answer; judge the picture without it. If most pictures of this network "
    "end like this, try another kind of map, or a network that was trained in another way."
)
STEPS = {
    "flat": "Do not use this map: it is the same everywhere. Look at a map of another kind below.",
    "prediction-changes": "Do not read any map of this picture: first find out why a little noise changes the "
    "network's answer. A sharper or better exposed picture may help.",
    "untested": "Do not read this map as a reason for the answer. Covering parts of this picture changes nothing, so "
    "try a picture in which the subject is smaller or less clear.",
    "unfaithful": WITHOUT,
    "unsteady": WITHOUT,
    "least-steady": "Do not read this map as a reason for the answer; other pictures of this network have steadier "
    "maps.",
    "undecided": "Have a full card made, which draws more noise and more random maps; it may settle what this one "
    "leaves open.",
    "disagreement": "Compare the maps below, and do not build on a detail that only one of them marks.",
    "shaky": "Read the map for the rough region only, not for single spots: a little noise moves them.",
    "less-steady": "Read the map for the rough region only, not for single spots: a little noise moves them.",
    "less-faithful": "Read the map for the rough region only, and look at how far covering it changes the answer.",
    "diffuse": "Read the map for the rough region only: it is spread over much of the picture.",
    "no-reference": "Have the card made with a reference, a folder of at least 20 typical pictures, to learn what is "
    "usual for this network.",
    "": "Ask whether what the map marks makes sense for this picture: passing every check does not prove it.",
}
"""By the rule that speaks first; the order is that in which they are looked for."""


def next_step(card: "Card") -> str:
    """What to do next: about the picture where it does not fit, else the network, else the map.

    Args:
        card: of one picture; its first map is the one that it speaks of.
    """
    if unfit := mismatch(card):
        return unfit
    judgement = card.judgement
    probability = card.target[2]
    if any(check.rule == "unsure" for check in judgement.checks):
        return (
            f"The network itself is unsure ({100 * probability:.0f} %): do not read any map of this picture. Look at "
            "the other answers that it thinks possible."
        )
    reasons = set(judgement.reasons)
    if judgement.level == "undecided":
        return STEPS["undecided"]
    if reasons & {"hardly-faithful", "prediction-wavers", "hardly-steady"}:
        return "Read the map for the rough region only: even a full card could not settle every check."
    return next(step for rule, step in STEPS.items() if rule in reasons or not rule)


def mismatch(card: "Card") -> str:
    """What does not fit between the picture and the network; empty where nothing is amiss."""
    height, width = card.image.shape[:2]
    stored_width, stored_height = card.stored
    takes = f"{'grey ' if card.in_colour else ''}pictures of {width} × {height} pixels"
    was = f"this one was {stored_width} × {stored_height}{' in colour' if card.in_colour else ''}"
    if min(card.stored) * FAR <= min(width, height):
        return f"Use a larger picture: the network takes {takes}, but {was}, too small to see much in it."
    if card.in_colour or (max(width, height) <= SMALL and min(card.stored) >= FAR * max(width, height)):
        return f"Check that the picture suits the network: it takes {takes}, but {was}."
    return ""
