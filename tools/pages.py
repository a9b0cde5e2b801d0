"""Parts of a page that a script writes: what stands between two marks belongs to it, the rest to people."""

from __future__ import annotations


def replaced(page: str, name: str, text: str) -> str:
    """Return the page with ``text`` between the marks of ``name``.

    Raises:
        ValueError: the page has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no part between {begin} and {end}")
    return f"{head}{begin}\n{text.strip()}\n{end}{tail}"


def part(page: str, name: str) -> str:
    """Return what stands between the marks of ``name``.

    Raises:
        ValueError: the page has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    _, found, rest = page.partition(begin)
    text, closed, _ = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no part between {begin} and {end}")
    return text.strip()
