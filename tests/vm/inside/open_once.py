"""Say the owner's `unlock` to the daemon and print, as JSON, the bolt's levels before, during and after."""

from __future__ import annotations

import json
import time

from end import LOOK_S, NEVER, OPENS_S, RESTS_S, level, unlock


def main() -> None:
    """Do it."""
    levels = [level()]
    unlock()
    for limit_s in (OPENS_S, RESTS_S):
        until_s = time.monotonic() + limit_s
        while level() == levels[-1] and time.monotonic() < until_s:
            NEVER.wait(LOOK_S)
        levels.append(level())
    print(json.dumps({"levels": levels}))


if __name__ == "__main__":
    main()
