"""The Interpreter port over LiteRT or its predecessor tflite-runtime. Floor 5.

Which one runs is never silent: ``runtime`` names it, and int8 outputs of the two differ by a few last bits.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import HardwareError, TrustError

if TYPE_CHECKING:
    import numpy.typing as npt

    from edge.bundle import Bundle


@dataclass(frozen=True, slots=True)
class _Runtime:
    module: str
    package: str
    remedy: str


_RUNTIMES = {
    "litert": _Runtime("ai_edge_litert", "ai-edge-litert", "install ai-edge-litert 2.1.6"),
    "tflite": _Runtime(
        "tflite_runtime", "tflite-runtime", "install tflite-runtime 2.14.0 (Python 3.11 only) or choose litert"
    ),
}
_PREFERRED = ("litert", "tflite")


class TfliteInterpreter:
    """One model in one runtime."""

    def __init__(self, bundle: Bundle, runtime: str, threads: int) -> None:
        """Load the very bytes that were verified, and compare the model's tensors with the manifest.

        Args:
            bundle: from ``edge.bundle.load``.
            runtime: ``litert`` or ``tflite``.
            threads: of the interpreter; more than one was slower on int8 models.

        Raises:
            HardwareError: the runtime is not installed.
            TrustError: the model cannot be loaded, or is not what its manifest says.
        """
        wanted = _RUNTIMES[runtime]
        try:
            module = importlib.import_module(f"{wanted.module}.interpreter")
        except ImportError as error:
            raise HardwareError(
                f"model.runtime: {wanted.package} cannot be used here ({error}): {wanted.remedy}"
            ) from error
        self._runtime = f"{wanted.package} {importlib.metadata.version(wanted.package)}"
        try:
            self._interpreter: Any = module.Interpreter(model_content=bundle.model, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise TrustError(f"{bundle.directory / 'model.tflite'}: {self._runtime} cannot load it: {error}") from error
        self._check(bundle)
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        self._outputs: tuple[int, ...] = tuple(d["index"] for d in self._interpreter.get_output_details())

    def _check(self, bundle: Bundle) -> None:
        manifest, file = bundle.manifest, bundle.directory / "model.tflite"
        wanted = [(manifest.input.shape, manifest.input.scale, manifest.input.zero_point)]
        _compare(f"{file}: input", self._interpreter.get_input_details(), wanted)
        wanted = [((1, spec.size), spec.scale, spec.zero_point) for spec in manifest.outputs]
        _compare(f"{file}: output", self._interpreter.get_output_details(), wanted)

    @property
    def runtime(self) -> str:
        """Name and version, such as ``ai-edge-litert 2.1.6``."""
        return self._runtime

    def invoke(self, tensor: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
        """Run the model on one input, int8, (1, height, width, 1); return copies of its outputs, int8, manifest order.

        Raises:
            HardwareError: the runtime refused the tensor or failed.
        """
        interpreter = self._interpreter
        try:
            interpreter.set_tensor(self._input, tensor)
            interpreter.invoke()
            return tuple([interpreter.get_tensor(index) for index in self._outputs])
        except (ValueError, RuntimeError) as error:
            raise HardwareError(f"{self._runtime}: the model did not run: {error}") from error


def open_interpreter(bundle: Bundle, runtime: str, threads: int) -> TfliteInterpreter:
    """Open a bundle's model in the runtime that ``[model] runtime`` names.

    Args:
        bundle: from ``edge.bundle.load``.
        runtime: ``litert``, ``tflite``, or ``auto`` for the first of these that is installed.
        threads: of the interpreter.

    Raises:
        HardwareError: no such runtime is installed.
        TrustError: the model is not what its manifest says.
    """
    return TfliteInterpreter(bundle, _first_installed() if runtime == "auto" else runtime, threads)


def _first_installed() -> str:
    for name in _PREFERRED:
        if importlib.util.find_spec(_RUNTIMES[name].module) is not None:
            return name
    raise HardwareError(f"model.runtime: neither runtime is installed: {_RUNTIMES['litert'].remedy}")


_Wanted = tuple[tuple[int, ...], float, int]


def _compare(what: str, details: list[dict[str, Any]], wanted: list[_Wanted]) -> None:
    """Compare a model's own tensors with the manifest's: number, type, shape, quantisation."""
    if len(details) != len(wanted):
        raise TrustError(f"{what}: the model has {len(details)}, the manifest {len(wanted)}")
    for number, (detail, (shape, scale, zero_point)) in enumerate(zip(details, wanted, strict=True)):
        if detail["dtype"] is not np.int8:
            raise TrustError(f"{what} {number}: is {np.dtype(detail['dtype']).name}; only int8 is allowed")
        if tuple(detail["shape"].tolist()) != shape:
            raise TrustError(f"{what} {number}: has shape {detail['shape'].tolist()}; the manifest says {list(shape)}")
        found_scale, found_zero = detail["quantization"]
        if not np.isclose(found_scale, scale, rtol=1e-6, atol=0.0) or found_zero != zero_point:
            found = f"scale {found_scale:.8g}, zero point {found_zero}"
            raise TrustError(
                f"{what} {number}: has {found}; the manifest says scale {scale:.8g}, zero point {zero_point}"
            )
