"""Draws the door's tables into docs/door.md: the diagram, the table of states and events, the orders to the bolt.

    make door-diagram        or        python tools/door_diagram.py --write docs/door.md

Everything between the marks is made from ``edge.door``; a test fails when the page is older than the tables.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from pages import replaced

from edge.door import ILLEGAL, ORDERS, TABLE, DoorEvent, DoorState, Wish

HUB = 5
"""An event that leads from this many states to the same one is drawn once, from "any"."""


def arrows() -> dict[tuple[str, DoorState], list[DoorEvent]]:
    """Return the events of every arrow (from, to); staying where one is has none, and "any" stands for many."""
    groups: dict[tuple[DoorEvent, DoorState], list[DoorState]] = defaultdict(list)
    for state, row in TABLE.items():
        for event, after in row.on.items():
            if isinstance(after, DoorState) and after is not state:
                groups[event, after].append(state)
    drawn: dict[tuple[str, DoorState], list[DoorEvent]] = defaultdict(list)
    for (event, after), sources in groups.items():
        for source in ("any",) if len(sources) >= HUB else sources:
            drawn[str(source), after].append(event)
    return drawn


def diagram() -> str:
    """Return the state machine as a Mermaid diagram; open states are drawn with a thick edge."""
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR", f"    [*] --> {DoorState.WATCHING}"]
    lines += [f"    {source} --> {after}: {', '.join(events)}" for (source, after), events in sorted(arrows().items())]
    opened = ",".join(state for state, row in TABLE.items() if row.wish is Wish.OPEN)
    lines += ["    classDef open stroke-width:4px", f"    class {opened} open", "```"]
    return "\n".join(lines)


def states() -> str:
    """Return what every state wishes and how long it lasts, as a table."""
    rows = [f"| `{state}` | {row.wish} | {row.lasts or 'never'} |" for state, row in TABLE.items()]
    return "\n".join(["| state | wishes the bolt | ends by itself |", "|---|---|---|", *rows])


def transitions() -> str:
    """Return every pair of state and event: where it leads, ``·`` where nothing changes, ``✗`` where it is illegal."""
    head = "| event | " + " | ".join(f"`{state}`" for state in DoorState) + " |"
    rows = [f"| `{event}` | " + " | ".join(_cell(state, event) for state in DoorState) + " |" for event in DoorEvent]
    return "\n".join([head, "|---" * (len(DoorState) + 1) + "|", *rows])


def _cell(state: DoorState, event: DoorEvent) -> str:
    after = TABLE[state].on[event]
    if after is ILLEGAL:
        return "✗"
    return "·" if after is state else str(after.value)


def orders() -> str:
    """Return what the bolt is told, as a table; the one line that withholds a wish is bold."""
    rows = []
    for (wish, ordered, flap), order in ORDERS.items():
        mark = "**" if order is not wish else ""
        rows.append(f"| {wish} | {ordered} | {flap} | {mark}{order}{mark} |")
    return "\n".join(["| wished | ordered so far | flap | order |", "|---|---|---|---|", *rows])


PARTS = {"diagram": diagram, "states": states, "transitions": transitions, "orders": orders}


def written(page: str) -> str:
    """Return the page with every part drawn anew."""
    for name, part in PARTS.items():
        page = replaced(page, name, part())
    return page


def main() -> None:
    """Print the parts, or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the parts between the marks in this file")
    options = parser.parse_args()
    if options.write is None:
        print("\n\n".join(part() for part in PARTS.values()))
    else:
        options.write.write_text(written(options.write.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
