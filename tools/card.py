"""The model's card in the form of the Hugging Face hub. No figure in it is typed by hand."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

import numpy as np
from dataset import FOLDS

if TYPE_CHECKING:
    from dataset import Count, Source
    from make_bundle import Product

    from edge.messages import Metric

_CARD = Template("""\
---
license: other
license_name: see-sources
library_name: tflite
pipeline_tag: image-classification
tags: [cat-flap, int8, grey, edge, prey-detection]
metrics: [accuracy, balanced_accuracy, roc_auc]
model_name: $name
version: $version
date: $created
---

# $name $version

A student for a cat flap: one grey patch of $width x $height pixels in; six class scores (`empty`, `cat_hidden`,
`cat_clear`, `cat_prey`, `other_animal`, `person`) and an embedding of $embedding numbers out. int8 throughout,
$kilobytes kB.

It was distilled from a teacher (EfficientNet-Lite2, whose last six blocks learnt from the pictures below) into the
first eleven blocks of EfficientNet-Lite0; both start from what ImageNet taught (Apache-2.0). **It has seen one real cat
flap. What it says at another is a guess until that flap's own frames have taught it** (`tools/adapt.py`). Real pictures
of prey: too few to promise anything. It must not be the only thing between a cat and its home.

## Intended use

Judging patches cut by `edge.features` with the recipe in the manifest, as evidence for the flap's sequential test,
which adds up many frames and refuses in doubt. Not for: telling people apart, counting animals, anything where one
picture decides.

## What it was trained on

$photographs photographs, $composed pictures with prey or harmless things drawn to a cat's mouth
(`tools/compose_prey.py`), $simulated drawn frames. SHA-256 of photographs and composed pictures: `$sha256`.

| home | source | licence, as the set states it | checked | pictures |
|---|---|---|---|---|
$sources
| sim | the simulated world of this project (`edge.adapters.sim`) | as the project | yes | $simulated |

Licences marked other than `yes` were not verified; none of the photographs is distributed with the model. A picture
labelled `cat` may show its mouth or not; the loss leaves that open. Labels were set by hand and hold mistakes. Prey:
$prey real pictures in $prey_visits visits or photographs, of which the tested later months of `tunnel` hold $prey_test.

Split: whole visits, and within a home with time stamps by time: the latest visits are the test, some before them
calibrate, the rest trains. Of undated visits a tenth calibrates. One simulated night in five calibrates, one tests.

| home | part | label | pictures | visits |
|---|---|---|---|---|
$counts

## Figures

x86-64, two cores, $created. Accuracies and agreements with Wilson 95 % intervals per picture: frames of a visit are
alike, so the truth is less certain than they look. Balanced accuracies, calibration error and AUC: 95 % by resampling
visits. *Five coarse classes* take hidden and clear cats as one. `majority` is what always naming the most common class
would reach there: nearly everything in a home that holds nearly one class only, which is why `balanced_accuracy`, the
mean of the classes' recalls, stands beside it (`balanced_majority`: one in the number of classes).

| figure | value | 95 % interval | pictures |
|---|---|---|---|
$figures

- `tunnel_later_*`: the shipped int8 model on later months of the one flap it knows. `teacher_tunnel_later_*`: its
  teacher.
- `unseen_*`: homes that neither teacher nor student ever saw, leaving out one after the other ($folds); the
  same recipe with a quarter to a half of the pictures shown, in float, calibrated in the homes that were known.
  `unseen_teacher_*`: the teachers of those students. This is the figure to expect, at best, in a new home.
- `noise_confidence`: how sure the model is, at the mean, of patches of pure noise (interval: 95 % of the patches).
- `int8_float_*`: the int8 model against the float one on the same $parity pictures; `_agreement_<class>`: of those
  that float calls so.
- `sim_*`: drawn frames of nights it has not seen. They say that the demonstration works, and nothing about cats.
- `prey_auc`: how often a real prey picture ranks above a cat without; `prey_first`: prey named outright.

$verdicts

## Speed and numbers

Median invoke, one thread, the machine above: $speed. Largest difference between the two runtimes on $parity pictures:
$difference steps of int8.

## Limits

Night pictures of a head-on, lit cat with prey: none real. Other animals at a real flap: a few birds and squirrels. The
embedding resembles the teacher's and knows drawn cats apart: no claim that it tells real cats apart. Calibration comes
from one flap, photographs and drawings: elsewhere the model is surer than it should be (`unseen_calibration_error`).

Made by `$command`.

$story""")


def model_card(product: Product) -> str:
    """Return the card's text."""
    facts = product.facts
    text = _CARD.substitute(
        name=product.name,
        version=product.version,
        created=product.created,
        command=product.command,
        width=product.recipe.width_px,
        height=product.recipe.height_px,
        embedding=product.golden_runs[0].embedding.shape[1],
        kilobytes=round(product.model.stat().st_size / 1000),
        photographs=product.data_set.photographs,
        sha256=product.data_set.sha256,
        simulated=product.data_set.simulated,
        composed=facts.composed,
        counts="\n".join(_count(count) for count in product.counts),
        sources="\n".join(_source(source) for source in product.sources),
        figures="\n".join(_figure(metric) for metric in product.metrics),
        verdicts=_verdicts(product.metrics),
        speed=", ".join(f"{run.runtime} {np.median(run.took_ms):.2f} ms" for run in product.golden_runs),
        difference=product.difference_lsb,
        parity=facts.parity_pictures,
        prey=facts.prey,
        prey_visits=facts.prey_visits,
        prey_test=facts.prey_test,
        folds="; ".join(" and ".join(fold) for fold in FOLDS),
        story=product.story,
    )
    return f"{text.rstrip()}\n"


def _source(source: Source) -> str:
    return f"| {source.home} | {source.source} | {source.licence} | {source.licence_clear} | {source.pictures} |"


def _count(count: Count) -> str:
    label = f"{count.label} (composed)" if count.composed else count.label
    return f"| {count.home} | {count.part} | {label} | {count.pictures} | {count.visits} |"


def _figure(metric: Metric) -> str:
    return f"| {metric.name} | {metric.value:.3f} | {metric.low:.3f} to {metric.high:.3f} | {metric.count} |"


def _verdicts(metrics: tuple[Metric, ...]) -> str:
    """Say of every accuracy, plain or balanced, whether it beats naming the most common class."""
    by_name = {metric.name: metric for metric in metrics}
    rivals = ((by_name.get(f"{name.removesuffix('accuracy')}majority"), metric) for name, metric in by_name.items())
    return "\n".join(
        f"- {metric.name}: {metric.value:.3f} {_against(metric, rival)} the majority class ({rival.value:.3f})."
        for rival, metric in rivals
        if rival is not None and metric is not rival
    )


def _against(metric: Metric, rival: Metric) -> str:
    if metric.low > rival.value:
        return "beats"
    return "is above, though its interval is not, beside" if metric.value > rival.value else "**does not beat**"
