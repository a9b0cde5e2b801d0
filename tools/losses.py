"""What a student is told: labels that may be partial, a teacher's soft labels, embeddings to resemble. Needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

TEMPERATURE = 2.0
"""At which teacher and student are compared: the teacher's small probabilities say what a picture resembles."""

_FACE_SCALE = 16.0


def partial_label_loss(logits: Any, allowed: Any) -> Any:  # noqa: ANN401 - tensors have no type where torch is not installed
    """Cross entropy with the sum over the classes a label leaves open: -log(p_clear + p_hidden) for ``cat``.

    A picture without a label leaves every class open and costs nothing.
    """
    possible = functional.log_softmax(logits, dim=1).masked_fill(~allowed, -torch.inf)
    return -torch.logsumexp(possible, dim=1).mean()


def soft_label_loss(logits: Any, told: Any, temperature: float = TEMPERATURE) -> Any:  # noqa: ANN401 - as above
    """Divergence of the student from a teacher's probabilities, both at a temperature (Hinton et al., 2015)."""
    softened = functional.softmax(told.clamp_min(1e-6).log() / temperature, dim=1)
    mine = functional.log_softmax(logits / temperature, dim=1)
    return functional.kl_div(mine, softened, reduction="batchmean") * temperature**2


def likeness_loss(embedding: Any, wanted: Any) -> Any:  # noqa: ANN401 - as above
    """One less the cosine of an embedding and the one it should resemble."""
    return 1.0 - functional.cosine_similarity(embedding, wanted, dim=1).mean()


def identity_loss(embedding: Any, faces: Any, who: Any) -> Any:  # noqa: ANN401 - as above
    """Cosine classifier over the cats that have a name (NormFace, Wang et al., 2017); 0 for a batch without one."""
    named = who >= 0
    if not bool(named.any()):
        return torch.zeros(())
    cosine = functional.normalize(embedding[named]) @ functional.normalize(faces).T
    return functional.cross_entropy(_FACE_SCALE * cosine, who[named])
