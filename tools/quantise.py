"""From a trained student to a model of int8 throughout. Needs torch, litert-torch and ai-edge-quantizer."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import litert_torch
import numpy as np
import torch
from ai_edge_quantizer import calibrator, quantizer, recipe
from ai_edge_quantizer.utils import qsv_utils
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

    from edge.messages import Grey

_SIGNATURE, _ARGUMENT = "serving_default", "args_0"  # what litert-torch calls them


class _ChannelsLast(nn.Module):  # type: ignore[misc] # torch is not installed where types are checked
    """The device has (1, height, width, 1); torch wants the channel first. With one channel that is only a reshape."""

    def __init__(self, net: Any) -> None:  # noqa: ANN401 - as above
        super().__init__()
        self._net = net

    def forward(self, x: Any) -> Any:  # noqa: ANN401 - as above
        return self._net(x.permute(0, 3, 1, 2))


def export_int8(net: Any, patches: Grey, directory: Path) -> Path:  # noqa: ANN401 - as above
    """Convert and quantise; return the path of ``model.tflite``.

    ``patches``, uint8 (count, height, width), set every tensor's range: its minimum and maximum over all of them. (The
    quantiser's own moving average agreed with the float network on 0.90 of the pictures where this reached 0.98.)
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # three tools' bars
        return _export(net, [_real(patch) for patch in _with_full_range(patches)], directory)


def _export(net: Any, real: list[Any], directory: Path) -> Path:  # noqa: ANN401 - as above
    converted = litert_torch.convert(_ChannelsLast(net).eval(), (torch.from_numpy(real[0]),))
    float_path, path = directory / "float.tflite", directory / "model.tflite"
    converted.export(str(float_path))
    work = quantizer.Quantizer(str(float_path))
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = calibrator.Calibrator(str(float_path), num_threads=2, qsv_update_func=qsv_utils.min_max_update)
    ranges.calibrate({_SIGNATURE: [{_ARGUMENT: patch} for patch in real]}, work._recipe_manager)  # noqa: SLF001 - the only way to a calibrator of one's own
    work.quantize(ranges.get_model_qsvs()).export_model(str(path), overwrite=True)
    float_path.unlink()
    return path


def _real(patch: Grey) -> Any:  # noqa: ANN401 - float32 (1, height, width, 1)
    return ((patch.astype(np.float32) - 128.0) / 128.0)[None, :, :, None]


def _with_full_range(patches: Grey) -> Grey:
    """Put grey 0 and 255 into the first patch: the input's scale is then 1/128 and its zero point 0."""
    whole = patches.copy()
    whole[0, 0, :2] = (0, 255)
    return whole
