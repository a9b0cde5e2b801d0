"""Run a model over patches in one runtime of *this* Python, and write down what it said.

    python tools/run_model.py MODEL.tflite PATCHES.npy OUT.npz litert|tflite

The trainer calls it with the device's environment, so that every int8 figure comes from the runtimes that ship and
not from the newer one the converter brings along.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

_RUNTIMES = {"litert": ("ai_edge_litert", "ai-edge-litert"), "tflite": ("tflite_runtime", "tflite-runtime")}


def main() -> None:
    """Read patches, uint8 (count, height, width); write int8 outputs, how they read as real numbers, milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("patches", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("runtime", choices=_RUNTIMES)
    options = parser.parse_args()
    module, package = _RUNTIMES[options.runtime]
    interpreter = importlib.import_module(f"{module}.interpreter").Interpreter(str(options.model), num_threads=1)
    interpreter.allocate_tensors()
    source, targets = interpreter.get_input_details()[0], interpreter.get_output_details()
    said: list[list[npt.NDArray[np.int8]]] = [[] for _ in targets]
    took_ms = []
    for patch in np.load(options.patches):
        interpreter.set_tensor(source["index"], (patch ^ 0x80).view(np.int8)[None, :, :, None])
        started = time.perf_counter()
        interpreter.invoke()
        took_ms.append((time.perf_counter() - started) * 1e3)
        for target, outputs in zip(targets, said, strict=True):
            outputs.append(interpreter.get_tensor(target["index"])[0])
    np.savez(
        options.out,
        runtime=f"{package} {importlib.metadata.version(package)}",
        took_ms=np.array(took_ms),
        input=np.array(source["quantization"], np.float64),
        outputs=np.array([target["quantization"] for target in targets], np.float64),
        **{f"output{number}": np.stack(outputs) for number, outputs in enumerate(said)},
    )


if __name__ == "__main__":
    main()
