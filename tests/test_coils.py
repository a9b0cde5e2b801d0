"""The coils that are known by name: each says where it is from, and its numbers belong together."""

from __future__ import annotations

import pytest

from edge import config
from edge.coils import PROFILES, CoilProfile
from edge.errors import ConfigError

EVERY = pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)


@EVERY
def test_a_coil_says_where_it_is_from(profile: CoilProfile) -> None:
    """A profile names its source; one without a data sheet calls itself a guess and says which fields are guessed."""
    says_guess = "conservative guess" in profile.source
    assert (True, True) == (len(profile.source) > 20, "max_on_s" in profile.guessed if says_guess else True)


@EVERY
def test_power_is_what_the_coil_takes(profile: CoilProfile) -> None:
    """Where resistance and watts are both said, they agree with the supply: P = V squared over R, within 3 %."""
    if profile.supply_v is None or profile.resistance_ohm is None:
        assert (None, False) == (profile.watts, "watts" in profile.guessed)
    else:
        assert profile.supply_v**2 / profile.resistance_ohm == pytest.approx(profile.watts, rel=0.03)


@EVERY
def test_the_store_holds_one_whole_time(profile: CoilProfile) -> None:
    """The heat store is not smaller than the longest single time, or that time could never be had."""
    assert profile.heat_budget_s >= profile.max_on_s


@pytest.mark.parametrize("name", ["ed5", "ed15", "ed25", "ed40"])
def test_a_nameplate_holds_over_its_cycle(name: str) -> None:
    """The store filled in one time with power is empty again after the rest of VDE 0580's five minutes."""
    profile = PROFILES[name]
    drained_s = (300 - profile.max_on_s) * profile.duty / (1 - profile.duty)
    assert profile.heat_budget_s == pytest.approx(drained_s)


@EVERY
def test_a_profile_is_a_configuration(profile: CoilProfile) -> None:
    """Every profile passes the configuration's own bounds, and its limits arrive there unchanged."""
    table = {"pins": {"bolt": 17}, "door": {"identity": "any_cat"}}
    written = {key: getattr(profile, key) for key in ("max_on_s", "min_rest_s", "heat_budget_s", "duty")}
    by_name = config.parse({**table, "lock": {"profile": profile.name}}, "test").lock
    by_value = config.parse({**table, "lock": {"profile": profile.name, **written}}, "test").lock
    assert (by_value, written) == (by_name, {key: getattr(by_name, key) for key in written})


def test_only_a_continuous_coil_may_hold_the_bolt_shut() -> None:
    """The profiles that power_to_lock accepts are those whose coil stands power for ever."""
    accepted = [name for name in PROFILES if _accepts_power_to_lock(name)]
    assert ["ed100", "hmf_1614d_24v"] == accepted


def _accepts_power_to_lock(name: str) -> bool:
    table = {"pins": {"bolt": 17}, "door": {"identity": "any_cat"}, "lock": {"kind": "power_to_lock", "profile": name}}
    try:
        config.parse(table, "test")
    except ConfigError:
        return False
    return True
