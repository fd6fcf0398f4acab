"""What the trust card's words are worth, as Markdown from its JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from pellucid.leaderboard.page import provenance

__all__ = ["page"]


def page(result: Mapping[str, Any]) -> str:
    """The page's Markdown from its JSON."""
    margins = result["margins"]
    lines = ["# What the trust card's words are worth", ""]
    if result["scale"] == "smoke":
        lines += ["Scale `smoke` shows that the command runs: its numbers mean nothing.", ""]
    else:
        lines += [_reading(board) for board in result["boards"]] + [""]
    lines += [
        "Vanilla gradient maps of test images on which the network is known to go by the cause: exchanging it changes "
        "the prediction, exchanging the rest does not. A map is true *weakly* where its mass on the cause is above "
        f"chance by at least {margins['pointing']:g} of what is left to 1, and *mostly* where it is by at least "
        f"{margins['mostly']:g}. Share of true maps [95 % interval over trainings], and how many maps there are; "
        "of each training one network (seed 1), and of it at most 60 maps. "
        "*Retuned* thresholds were chosen on one truth set so that maps without objection are mostly true as often as "
        "possible. What they reach on that same set proves nothing; what they reach on another set does.",
        "",
    ]
    for board in result["boards"]:
        lines += [f"## {board['board']}: {board['maps']} maps of {board['networks']} networks", ""]
        lines += [*_table(board), ""]
        if board["moved"] is None:
            lines += ["No thresholds of the grid leave enough maps on both sides.", ""]
        else:
            words = ", ".join(f"{name} {value:g}" for name, value in board["moved"].items())
            lines += [f"Thresholds retuned here: {words}.", ""]
        lines += [provenance(board | {"command": result["command"]}), ""]
    return "\n".join(lines)


def _reading(board: Mapping[str, Any]) -> str:
    told = board["as_it_is"]["mostly"]
    words = "; ".join(
        f"{level}: {_share(values)}" for level, values in told.items() if level != "all" and values["maps"]
    )
    return f"On {board['board']}, {_share(told['all'])} of all maps are mostly true. By verdict of the card: {words}."


def _table(board: Mapping[str, Any]) -> Iterator[str]:
    now = board["as_it_is"]
    columns = {"weakly true": now["pointing"], "mostly true": now["mostly"]}
    if board["moved_here"] is not None:
        columns["mostly true, retuned on the same maps"] = board["moved_here"]
    columns |= {f"mostly true on {name}, retuned here": values for name, values in board["moved_on_others"].items()}
    yield "| the card says | " + " | ".join(columns) + " |"
    yield "| --- |" + " ---: |" * len(columns)
    for level in now["mostly"]:
        yield (
            f"| {level} | "
            + " | ".join(f"{_share(told[level])}, {told[level]['maps']}" for told in columns.values())
            + " |"
        )


def _share(values: Mapping[str, Any]) -> str:
    if values["share"] is None:
        return "–"
    interval = values.get("interval")
    words = f"{100 * values['share']:.0f} %"
    if interval is None or interval["mean"] is None:
        return words
    return f"{words} [{100 * interval['low']:.0f}, {100 * interval['high']:.0f}]"
