"""Policies by name, and variants that are checked as a description is."""

from __future__ import annotations

from pathlib import Path

import pytest

from evergreen.backtest.policies import parse_policy, read_variants
from evergreen.calendar import Length
from evergreen.errors import SpecError
from evergreen.spec import Spec
from evergreen.units import Times


@pytest.mark.parametrize("name", ["always", "every", "every 0", "every -7", "every 7 days"])
def test_an_unknown_policy(name: str) -> None:
    with pytest.raises(SpecError, match=r"no policy '.*': write 'configured', 'never', or 'every 7'"):
        parse_policy(name)


def test_a_fixed_schedule_is_due_after_so_many_partitions(kiosk: Spec) -> None:
    every = parse_policy("every 7")
    assert every.fixed
    assert not every.due(kiosk, "2024-01-01", "2024-01-07")
    assert every.due(kiosk, "2024-01-01", "2024-01-08")
    assert not parse_policy("never").due(kiosk, "2024-01-01", "2030-01-01")
    assert not parse_policy("configured").fixed


def test_a_variant_keeps_what_it_does_not_name(kiosk: Spec, tmp_path: Path) -> None:
    file = tmp_path / "variants.yaml"
    file.write_text(
        "calm:\n  performance: {tolerance: 80%, cusum: {h: 9}}\n"
        "often:\n  retrain: {on: [drift], when: 1 of 2 partitions, cooldown: 1 partition}\n"
    )
    calm, often = read_variants(kiosk, file)
    assert (calm.name, often.name) == ("calm", "often")
    assert not calm.fixed
    own, found = kiosk.monitoring, calm.of(kiosk).monitoring
    assert (found.performance.tolerance, found.performance.cusum.h) == (0.8, 9)
    assert (found.performance.over, found.performance.cusum.k) == (own.performance.over, 0.5)
    assert (found.retrain, found.staleness, found.drift) == (own.retrain, own.staleness, own.drift)
    retrain = often.of(kiosk).monitoring.retrain
    assert (retrain.on, retrain.when, retrain.cooldown) == (("drift",), Times(1, 2), Length(1))
    assert retrain.budget == own.retrain.budget
    assert often.of(kiosk).training == kiosk.training


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("calm: {performance: {tolerence: 80%}}", "calm: performance.tolerence: no such key, did you mean"),
        ("calm: {performance: {over: soon}}", "calm: performance.over: write a length like"),
        ("calm: [drift]", "calm: "),
        ("never: {retrain: {on: [drift]}}", "never: a policy has this name: rename the variant"),
        ("every 7: {}", "every 7: a policy has this name"),
        ("- calm", "must be a mapping"),
        ("calm: {retrain: {cooldown: -1}}", "calm: retrain.cooldown: write a length like"),
    ],
)
def test_a_wrong_variant_is_refused_with_file_and_path(
    kiosk: Spec, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "variants.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as error:
        read_variants(kiosk, file)
    assert str(file) in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
