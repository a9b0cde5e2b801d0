"""The Interpreter port, held to its contract over both runtimes with the bundle that ships."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

from edge.adapters.tflite import TfliteInterpreter, open_interpreter
from edge.bundle import Bundle, factory_directory, load
from edge.errors import HardwareError, TrustError

RUNTIMES = ["litert", pytest.param("tflite", marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="no wheel"))]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The bundle that ships."""
    return load(factory_directory())


@pytest.fixture(scope="module", params=RUNTIMES)
def interpreter(request: pytest.FixtureRequest, bundle: Bundle) -> TfliteInterpreter:
    """The model in one runtime, loaded once: loading costs more than running."""
    return open_interpreter(bundle, request.param, 1)


def some_input(bundle: Bundle, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """Noise of the model's input shape."""
    return np.random.default_rng(seed).integers(-128, 128, bundle.manifest.input.shape, np.int8)


def test_outputs_are_int8_in_manifest_order(interpreter: TfliteInterpreter, bundle: Bundle) -> None:
    """Logits first, embedding second, int8, of the sizes the manifest states."""
    outputs = interpreter.invoke(some_input(bundle, 1))
    assert [(1, spec.size) for spec in bundle.manifest.outputs] == [output.shape for output in outputs]
    assert {np.dtype(np.int8)} == {output.dtype for output in outputs}


def test_outputs_are_copies(interpreter: TfliteInterpreter, bundle: Bundle) -> None:
    """What one call returned does not change with the next."""
    first = interpreter.invoke(some_input(bundle, 1))
    kept = [output.copy() for output in first]
    interpreter.invoke(some_input(bundle, 2))
    assert [output.tolist() for output in kept] == [output.tolist() for output in first]


def test_the_same_input_gives_the_same_outputs(interpreter: TfliteInterpreter, bundle: Bundle) -> None:
    """Replay rests on it: one model, one runtime, one input, one answer."""
    once, again = (interpreter.invoke(some_input(bundle, 3)) for _ in range(2))
    assert [output.tolist() for output in once] == [output.tolist() for output in again]


def test_a_tensor_of_another_shape_or_type_is_refused(interpreter: TfliteInterpreter, bundle: Bundle) -> None:
    """A wrong tensor is a HardwareError in one line, and the next right one runs."""
    right = some_input(bundle, 1)
    for wrong in (right[:, :-1], right.view(np.uint8)):
        with pytest.raises(HardwareError, match="did not run"):
            interpreter.invoke(wrong)  # type: ignore[arg-type] # that is the point
    assert len(bundle.manifest.outputs) == len(interpreter.invoke(right))


def test_the_runtime_says_its_name_and_version(interpreter: TfliteInterpreter) -> None:
    """Name and version, never silent: one of those the bundle was verified on."""
    name, version = interpreter.runtime.split(" ")
    assert name in {"ai-edge-litert", "tflite-runtime"}
    assert version[0].isdigit()


def test_auto_takes_litert_where_it_is_installed(bundle: Bundle) -> None:
    """The faster of the two is preferred."""
    assert open_interpreter(bundle, "auto", 1).runtime.startswith("ai-edge-litert ")


def test_auto_takes_the_other_where_litert_is_not(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without LiteRT its predecessor serves, and says so."""
    pytest.importorskip("tflite_runtime")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ai_edge_litert" else object())
    assert open_interpreter(bundle, "auto", 1).runtime.startswith("tflite-runtime ")


def test_no_runtime_at_all_says_what_to_install(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither installed: one sentence with the remedy."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(HardwareError, match="install ai-edge-litert"):
        open_interpreter(bundle, "auto", 1)


@pytest.mark.parametrize(("name", "module"), [("litert", "ai_edge_litert"), ("tflite", "tflite_runtime")])
def test_a_named_runtime_that_is_missing_is_an_error(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, name: str, module: str
) -> None:
    """A runtime that the configuration names is used or refused, never exchanged for the other."""
    monkeypatch.setitem(sys.modules, f"{module}.interpreter", None)
    with pytest.raises(HardwareError, match="install"):
        open_interpreter(bundle, name, 1)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_bytes_that_are_no_model_are_refused(bundle: Bundle, runtime: str) -> None:
    """What the runtime cannot load is a TrustError that names the file."""
    with pytest.raises(TrustError, match=r"model\.tflite"):
        open_interpreter(dataclasses.replace(bundle, model=b"TFL3 is not enough"), runtime, 1)


def test_a_model_that_is_not_what_its_manifest_says_is_refused(bundle: Bundle) -> None:
    """Shape, scale and zero point of input and outputs are compared before the first frame."""
    manifest = bundle.manifest
    spoilt = [
        dataclasses.replace(manifest, input=dataclasses.replace(manifest.input, shape=(1, 64, 64, 1))),
        dataclasses.replace(manifest, input=dataclasses.replace(manifest.input, scale=manifest.input.scale * 1.001)),
        dataclasses.replace(manifest, outputs=manifest.outputs[::-1]),
        dataclasses.replace(manifest, outputs=manifest.outputs[:1]),
        dataclasses.replace(
            manifest, outputs=(dataclasses.replace(manifest.logits, zero_point=99), manifest.embedding)
        ),
    ]
    for wrong in spoilt:
        with pytest.raises(TrustError, match="manifest"):
            open_interpreter(dataclasses.replace(bundle, manifest=wrong), "litert", 1)
