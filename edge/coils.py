"""Coils that are known by name: what each may be asked for, as data with its source. Floor 0.

``lock.profile`` in the configuration names one; the file may then be stricter than the profile, never looser
(``edge.config``). ``docs/wiring.md`` shows the table and says how to choose.

A source that says only part of it is named for that part, and ``guessed`` says which fields are a conservative guess.
Guesses follow one rule: the longest time the source allows, else what one opening of the door needs; the heat store
holds that once; and a duty of 10 %, which is less than any nameplate in the trade but ED 5 %.

Nothing here is for a bistable (latching) solenoid: it wants one short pulse of either polarity to change sides and
burns under a lease, so that neither kind of lock can drive it.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY_S = 86400.0

VDE_0580 = (
    "DIN VDE 0580, 3.2.2 and 3.2.3: a cycle of 5 minutes, and the longest time with power for each ED; quoted after"
    " Intertec / Red Magnetics, ITS-MS-7040 data sheet, general technical explanations, page 4"
)


@dataclass(frozen=True, slots=True)
class CoilProfile:
    """What a coil is and what it stands.

    Attributes:
        name: what ``lock.profile`` says.
        what: the part, or the class of parts that a nameplate names.
        supply_v: the voltage it is made for; None for a class of parts.
        resistance_ohm: of the cold coil; None where nobody says.
        watts: with power at ``supply_v``; None where nobody says.
        max_on_s: the longest single time with power.
        min_rest_s: the rest after that time.
        heat_budget_s: seconds with power that it stores as heat, from cold to as hot as it may get.
        duty: share of time with power at which it stays at its temperature, 0..1.
        source: where this is from.
        guessed: the fields of it that the source does not give; empty when it gives all.
    """

    name: str
    what: str
    supply_v: float | None
    resistance_ohm: float | None
    watts: float | None
    max_on_s: float
    min_rest_s: float
    heat_budget_s: float
    duty: float
    source: str
    guessed: tuple[str, ...] = ()


def _nameplate(percent: int, longest_s: float) -> CoilProfile:
    """Return the profile of every coil whose nameplate says ED ``percent``.

    In a cycle of 300 s with ``longest_s`` of power a leaky bucket of ``longest_s`` fills once and is empty again at its
    end: ``longest_s == 300 * duty``, and it drains ``duty / (1 - duty)`` per second.
    """
    return CoilProfile(
        name=f"ed{percent}",
        what=f"any coil with ED {percent} % (duty {percent} %) on its nameplate or in its data sheet",
        supply_v=None,
        resistance_ohm=None,
        watts=None,
        max_on_s=longest_s,
        min_rest_s=1.0,
        heat_budget_s=longest_s,
        duty=percent / 100,
        source=VDE_0580,
    )


_KNOWN = (
    _nameplate(5, 15.0),
    _nameplate(15, 45.0),
    _nameplate(25, 75.0),
    _nameplate(40, 120.0),
    CoilProfile(
        name="ed100",
        what="any coil with ED 100 % (continuous duty) on its nameplate or in its data sheet",
        supply_v=None,
        resistance_ohm=None,
        watts=None,
        max_on_s=DAY_S,
        min_rest_s=0.0,
        heat_budget_s=DAY_S,
        duty=1.0,
        source=VDE_0580,
    ),
    CoilProfile(
        name="hmf_1614d_24v",
        what="pull magnet HMF-1614d.002-24VDC,100%: continuous duty is in its name",
        supply_v=24.0,
        resistance_ohm=288.0,
        watts=2.0,
        max_on_s=DAY_S,
        min_rest_s=0.0,
        heat_budget_s=DAY_S,
        duty=1.0,
        source="Conrad 503744, its catalogue title, as linked in JoakimSoderberg/catcierge issue 20; R = V^2 / P",
    ),
    CoilProfile(
        name="adafruit_1512",
        what="lock-style solenoid, Adafruit 1512, and the many that look like it",
        supply_v=12.0,
        resistance_ohm=18.5,
        watts=7.8,
        max_on_s=10.0,
        min_rest_s=10.0,
        heat_budget_s=10.0,
        duty=0.1,
        source="product page: 650 mA at 12 V, made for 1 to 10 s of activation; R and P from those",
        guessed=("min_rest_s", "heat_budget_s", "duty"),
    ),
    CoilProfile(
        name="xrn_0630t",
        what="open frame solenoid XRN-0630T, 12 V, 10 N, 10 mm",
        supply_v=12.0,
        resistance_ohm=None,
        watts=None,
        max_on_s=2.0,
        min_rest_s=10.0,
        heat_budget_s=2.0,
        duty=0.1,
        source="seller's page (uxcell, Harfington p-1080817): best operated within 2 seconds",
        guessed=("min_rest_s", "heat_budget_s", "duty"),
    ),
    CoilProfile(
        name="jf_0530b_12v",
        what="open frame solenoid JF-0530B, 12 V, 5 N, 10 mm",
        supply_v=12.0,
        resistance_ohm=40.0,
        watts=3.6,
        max_on_s=6.0,
        min_rest_s=10.0,
        heat_budget_s=6.0,
        duty=0.1,
        source="no data sheet found; sellers say 300 mA and nothing about time: conservative guess",
        guessed=("resistance_ohm", "watts", "max_on_s", "min_rest_s", "heat_budget_s", "duty"),
    ),
    CoilProfile(
        name="kittyflap",
        what="the bolt magnets of a Kittyflap",
        supply_v=12.0,
        resistance_ohm=None,
        watts=None,
        max_on_s=8.0,
        min_rest_s=10.0,
        heat_budget_s=8.0,
        duty=0.1,
        source="no data sheet found; floppyFK/kittyhack allows 60 s, and its owners report bolts too hot to touch"
        " (issues 124 and 188): conservative guess",
        guessed=("max_on_s", "min_rest_s", "heat_budget_s", "duty"),
    ),
)

PROFILES: dict[str, CoilProfile] = {profile.name: profile for profile in _KNOWN}
"""Every coil that is known by name."""
