"""Print where the limits of `edge.quality` lie among real photographs: how many good and how many blurred ones pass.

    python tools/quality_limits.py ../shared/data

A line for each kind of picture: its count, the share refused, and the same after blurring by 4, 8 and 12 pixels.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.quality import QualitySettings, judge_light

if TYPE_CHECKING:
    from edge.messages import Grey

BLURS_PX = (0, 4, 8, 12)
EVERY = 4  # every fourth picture is plenty for a share


def refused(grey: Grey, blur_px: int) -> bool:
    """Return whether a picture, blurred by a Gaussian of this many pixels (0: not at all), is no evidence."""
    picture = cv2.GaussianBlur(grey, (0, 0), blur_px).astype(np.uint8) if blur_px else grey
    return not judge_light(picture, None, QualitySettings()).ok


def main(arguments: list[str]) -> int:
    """Print the table."""
    folder = Path(arguments[0])
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    found: dict[str, list[list[bool]]] = defaultdict(list)
    for row in rows[::EVERY]:
        grey = cv2.imread(str(folder / row["file_name"]), cv2.IMREAD_GRAYSCALE).astype(np.uint8)
        found[f"{row['home']}/{row['sublabel'] if row['home'] == 'tunnel' else row['label']}"].append(
            [refused(grey, blur) for blur in BLURS_PX]
        )
    print(f"{'pictures':28}{'count':>6}" + "".join(f"{f'blur {blur}' if blur else 'as is':>9}" for blur in BLURS_PX))
    for name, answers in sorted(found.items()):
        shares = np.mean(answers, axis=0)
        print(f"{name:28}{len(answers):6}" + "".join(f"{share:9.1%}" for share in shares))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
