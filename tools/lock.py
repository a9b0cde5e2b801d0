"""Write requirements/*.txt anew, hash-locked, for the Python that runs this. Run once with 3.11 and once with 3.13.

    python3.11 tools/lock.py && python3.13 tools/lock.py

Names of files (runtime, dev, s3 …) lock those only.

No package host is written into a lock file: whoever installs decides where from. ``train-cuda`` is what the default
build of torch for Linux needs besides; it is locked without ``PIP_FIND_LINKS``, by which a machine may offer another.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
PIP_TOOLS = "pip-tools==7.6.2"
OPTIONS = (
    "--quiet",
    "--generate-hashes",
    "--allow-unsafe",
    "--strip-extras",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
    "--no-header",
)


def main(arguments: list[str]) -> int:
    """Lock what this Python can install."""
    old = sys.version_info < (3, 12)
    everywhere = ("runtime", "dev", "s3", "s3-test")
    names = arguments or ([*everywhere, "train", "train-cuda", "pins"] if old else [*everywhere])
    default = {key: value for key, value in os.environ.items() if key != "PIP_FIND_LINKS"}
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        tools = Path(place) / "bin"
        subprocess.run([tools / "pip", "install", "--quiet", PIP_TOOLS], check=True)
        for name in names:
            target = f"{name}-{'py311' if old else 'py313'}.txt"
            command = [str(tools / "pip-compile"), *OPTIONS, "--output-file", target, f"{name}.in"]
            subprocess.run(command, cwd=REQUIREMENTS, check=True, env=default if name == "train-cuda" else None)
            print(f"requirements/{target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
