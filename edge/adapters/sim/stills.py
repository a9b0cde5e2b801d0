"""Labelled pictures of the simulated world, drawn by the same renderer that the camera's twin uses.

They let a model learn this world as one more home; nothing about real cats follows from them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge.adapters.sim.animals import SHOULDER, Head, Posture, Species
from edge.adapters.sim.backdrop import HEIGHT_PX, WIDTH_PX, Backdrop, Light, Lighting, backdrop
from edge.adapters.sim.coats import Coat, CoatKind
from edge.adapters.sim.people import Part
from edge.adapters.sim.prey import HARMLESS, Carries
from edge.adapters.sim.render import (
    Actor,
    AnimalActor,
    CatActor,
    Insect,
    LeafActor,
    Lens,
    Patch,
    PersonActor,
    Renderer,
    Shot,
    Smear,
    Stance,
    Subject,
)
from edge.messages import Box, Label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.messages import Grey

STILLS_PER_NIGHT = 12
STILLS_PER_EVENING = 5
INDIVIDUALS = 70
_BACK_SHARE = 0.3
_WHOLE = Box(0, 0, WIDTH_PX, HEIGHT_PX)
_SHARES: dict[Label, float] = {
    Label.EMPTY: 0.14,
    Label.CAT_HIDDEN: 0.18,
    Label.CAT_CLEAR: 0.22,
    Label.CAT_PREY: 0.22,
    Label.OTHER_ANIMAL: 0.14,
    Label.PERSON: 0.10,
}


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One picture, uint8 (240, 320), with the truth: the labelled actor's tight box, the whole picture for ``empty``.

    ``individual`` numbers the cat or is None; ``night`` numbers the place and light: split by it, never by picture.
    """

    grey: Grey
    label: Label
    box: Box
    individual: int | None
    night: int


def generate(count: int, seed: int) -> Iterator[Still]:
    """Yield ``count`` pictures, the same for the same seed."""
    for night in range(-(-count // STILLS_PER_NIGHT)):
        rng = np.random.default_rng((seed, night))
        light = Light.BACK if rng.random() < _BACK_SHARE else Light.FRONT
        renderer = Renderer(backdrop(int(rng.integers(0, 2**31)), light))
        base = _evening(rng)
        for _ in range(min(STILLS_PER_NIGHT, count - night * STILLS_PER_NIGHT)):
            yield _still(renderer, base, rng, night)


def evenings_of(individual: int, place: int, seed: int) -> Iterator[tuple[Still, ...]]:
    """Yield visit after visit of one numbered cat to one flap, without end, the same for the same numbers.

    ``place`` numbers the flap; light, lens and weather are another evening's each time, the cat's mouth is free. A
    visit is five pictures. Cats from ``INDIVIDUALS`` on are in no picture of ``generate``: no model has learnt them.
    """
    for night in itertools.count():
        rng = np.random.default_rng((seed, individual, place, night))
        light = Light.BACK if rng.random() < _BACK_SHARE else Light.FRONT
        renderer, base = Renderer(backdrop(place, light)), _evening(rng)
        labels = rng.choice([Label.CAT_CLEAR, Label.CAT_HIDDEN], size=STILLS_PER_EVENING)
        stills = (_cat_still(renderer, base, rng, (Label(label), individual), night) for label in labels)
        yield tuple(still for still in stills if still.individual is not None)


def _evening(rng: np.random.Generator) -> Shot:
    lighting = Lighting(
        lamp=float(rng.uniform(0.55, 1.15)), ambient=float(rng.uniform(0.0, 0.12)), gain=float(rng.uniform(0.75, 1.45))
    )
    smear = Smear(rng.choice(list(Smear), p=(0.84, 0.08, 0.08)))
    lens = Lens(smear=smear, smear_seed=int(rng.integers(0, 1000)))
    if rng.random() < 0.15:
        turn = float(rng.normal(0, 0.06))
        lens = replace(lens, shift_x_px=float(rng.normal(0, 10)), shift_y_px=float(rng.normal(0, 8)), turn_rad=turn)
    return Shot(lighting=lighting, lens=lens, noise_level=float(rng.uniform(0.5, 1.7)))


def _still(renderer: Renderer, base: Shot, rng: np.random.Generator, night: int) -> Still:
    wanted = Label(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    shot = replace(base, noise=int(rng.integers(0, 2**31)), lens=_focus(base.lens, rng))
    individual: int | None = None
    if wanted is Label.EMPTY:
        shot = _nothing(shot, renderer.backdrop, rng)
    else:
        if wanted in _CATS:
            individual = int(rng.integers(0, INDIVIDUALS))
        shot = replace(shot, actors=(_actor(wanted, individual, renderer.backdrop, rng),), rain=_drizzle(rng))
    return _taken(renderer, shot, individual, night)


def _cat_still(renderer: Renderer, base: Shot, rng: np.random.Generator, who: tuple[Label, int], night: int) -> Still:
    shot = replace(base, noise=int(rng.integers(0, 2**31)), lens=_focus(base.lens, rng))
    shot = replace(shot, actors=(_cat(*who, renderer.backdrop, rng),), rain=_drizzle(rng))
    return _taken(renderer, shot, who[1], night)


def _taken(renderer: Renderer, shot: Shot, individual: int | None, night: int) -> Still:
    picture = renderer.render(shot)
    subject = next((one for one in picture.subjects if one.label is not Label.EMPTY), Subject(Label.EMPTY, None))
    known = individual if subject.label in _CATS else None
    return Still(picture.grey, subject.label, subject.box or _WHOLE, known, night)


_CATS = frozenset({Label.CAT_HIDDEN, Label.CAT_CLEAR, Label.CAT_PREY})


def _focus(lens: Lens, rng: np.random.Generator) -> Lens:
    return replace(lens, blur_px=float(rng.uniform(0.4, 1.1)) if rng.random() < 0.25 else 0.0)


def _drizzle(rng: np.random.Generator) -> int:
    return int(rng.integers(8, 40)) if rng.random() < 0.08 else 0


def _actor(wanted: Label, individual: int | None, place: Backdrop, rng: np.random.Generator) -> Actor:
    if individual is not None:
        return _cat(wanted, individual, place, rng)
    stride = float(rng.random())
    if wanted is Label.PERSON:
        return _person(place, stride, rng)
    return _animal(place, stride, rng)


def coat_of(individual: int) -> Coat:
    """Return the coat of a numbered cat."""
    return Coat(list(CoatKind)[individual % len(CoatKind)], 1000 + individual)


def _cat(wanted: Label, individual: int, place: Backdrop, rng: np.random.Generator) -> CatActor:
    posture = Posture(
        stride=float(rng.random()),
        nod_rad=float(rng.normal(0.12, 0.16)),
        tail=float(rng.random()),
        crouch=float(rng.random() ** 2),
        sway_rad=float(rng.normal(0, 0.25)),
        carries=_carried(wanted, rng),
    )
    unit = place.unit_px * float(rng.uniform(0.82, 1.12))
    mirrored = bool(rng.random() < 0.25)
    posture, nose = _POSES[wanted](posture, place, rng)
    side = -1 if mirrored else 1
    x = nose - side * 1.12 * unit
    speed = float(abs(rng.normal(0, 7)))
    y = place.ground_px + float(rng.normal(-2, 4))
    return CatActor(Stance(x, y, unit, mirrored, speed), coat_of(individual), posture)


def _carried(wanted: Label, rng: np.random.Generator) -> Carries:
    if wanted is Label.CAT_PREY:
        return Carries(rng.choice([one for one in Carries if one not in HARMLESS], p=(0.4, 0.2, 0.2, 0.1, 0.1)))
    if wanted is Label.CAT_CLEAR:
        return Carries(rng.choice([Carries.NOTHING, Carries.BELL, Carries.LEAF], p=(0.7, 0.17, 0.13)))
    return Carries(rng.choice(list(Carries)))


def _nose_seen(posture: Posture, place: Backdrop, rng: np.random.Generator) -> tuple[Posture, float]:
    towards = place.light is Light.FRONT and rng.random() < 0.22
    return replace(posture, head=Head.TOWARDS if towards else Head.PROFILE), float(
        rng.uniform(70, _furthest(posture, place))
    )


def _furthest(posture: Posture, place: Backdrop) -> float:
    """Return how far right the nose may be: what it carries must not be behind the wall."""
    return place.wall_px - 12 - (0.0 if posture.carries in HARMLESS else 0.22 * place.unit_px)


def _nose_hidden(posture: Posture, place: Backdrop, rng: np.random.Generator) -> tuple[Posture, float]:
    """Rear, turned away, lowered, or cut off by the wall or the picture's edge."""
    inside = float(rng.uniform(90, place.wall_px - 15))
    match int(rng.integers(0, 5)):
        case 0:
            return replace(posture, rear=True), inside + place.unit_px * 0.6
        case 1:
            return replace(posture, head=Head.AWAY), inside
        case 2:
            return replace(posture, head=Head.LOWERED), inside
        case 3:
            return posture, place.wall_px + place.unit_px * float(rng.uniform(0.2, 1.2))
        case _:
            return replace(posture, head=Head.AWAY, tail=0.9), float(rng.uniform(40, 140))


_POSES: dict[Label, Callable[[Posture, Backdrop, np.random.Generator], tuple[Posture, float]]] = {
    Label.CAT_CLEAR: _nose_seen,
    Label.CAT_PREY: _nose_seen,
    Label.CAT_HIDDEN: _nose_hidden,
}


def _animal(place: Backdrop, stride: float, rng: np.random.Generator) -> AnimalActor:
    species = Species(rng.choice(list(Species)))
    unit = place.unit_px * SHOULDER[species] * float(rng.uniform(0.8, 1.15))
    posture = Posture(stride=stride, nod_rad=float(rng.normal(0.1, 0.15)), tail=float(rng.random()))
    x = float(rng.uniform(40, place.wall_px - unit * 0.9))
    stance = Stance(
        x, place.ground_px + float(rng.normal(-2, 4)), unit, bool(rng.random() < 0.3), float(abs(rng.normal(0, 6)))
    )
    return AnimalActor(stance, species, posture, int(rng.integers(-22, 23)))


def _person(place: Backdrop, stride: float, rng: np.random.Generator) -> PersonActor:
    part = Part(rng.choice(list(Part), p=(0.5, 0.3, 0.2)))
    unit = min(place.unit_px, 118.0) * float(rng.uniform(0.8, 1.25))
    stance = Stance(
        float(rng.uniform(60, 220)), place.ground_px + float(rng.normal(0, 6)), unit, bool(rng.random() < 0.3), 3.0
    )
    return PersonActor(stance, part, stride, int(rng.integers(35, 170)))


def _nothing(shot: Shot, place: Backdrop, rng: np.random.Generator) -> Shot:
    """Nobody there: leaves, insects, rain, wind, sun and shadow, the flap that still swings, or simply nothing."""
    kind = int(rng.integers(0, 7))
    if kind == 0:
        return replace(shot, actors=(_leaf(rng),))
    if kind == 1:
        return replace(shot, insects=tuple(_insect(rng) for _ in range(int(rng.integers(1, 4)))))
    if kind == 2:
        return replace(shot, patches=(_patch(rng),))
    return replace(
        shot,
        rain=int(rng.integers(15, 110)) if kind == 3 else 0,
        wind=float(rng.uniform(0.2, 1.0)) if kind == 4 else 0.0,
        flap_rad=float(rng.uniform(0.1, 1.0)) if kind == 5 and place.light is Light.FRONT else 0.0,
    )


def _leaf(rng: np.random.Generator) -> LeafActor:
    stance = Stance(float(rng.uniform(20, 260)), float(rng.uniform(60, 225)), float(rng.uniform(7, 24)), speed_px=6.0)
    return LeafActor(stance, float(rng.uniform(0, 6.3)), int(rng.integers(60, 210)))


def _insect(rng: np.random.Generator) -> Insect:
    x, y = float(rng.uniform(0, WIDTH_PX)), float(rng.uniform(0, HEIGHT_PX))
    dx, dy = rng.normal(0, 22, 2)
    return Insect(x, y, x + float(dx), y + float(dy), float(rng.uniform(2, 14)))


def _patch(rng: np.random.Generator) -> Patch:
    x, y = float(rng.uniform(-20, 240)), float(rng.uniform(-20, 180))
    gain = float(rng.uniform(1.4, 2.8) if rng.random() < 0.5 else rng.uniform(0.35, 0.7))
    return Patch(x, y, float(rng.uniform(40, 170)), float(rng.uniform(40, 160)), gain)
