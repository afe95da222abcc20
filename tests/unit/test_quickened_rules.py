"""The delivered alert rules, sped up for the journey of alerts: all time is scaled and nothing else."""

import re
from pathlib import Path

import yaml

from tests.journey.quickened import quickened

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "rules" / "dossierbus.yml"
SAMPLE = """\
groups:
  - name: sample
    rules:
      - alert: Late
        expr: max(lag_seconds) > 10 * 60 and sum(rate(failed_total{le="1.0"}[1h])) > 14.4 * 0.005 and a[30m] > 6
        for: 5m
"""
UNSCALED = re.compile(r"\d[smhd]\b|\* 60")


def test_all_three_forms_of_time_are_divided() -> None:
    """Waiting, range and minutes become thirty times shorter; shares, counts and buckets stay."""
    (rule,) = yaml.safe_load(quickened(SAMPLE, 30))["groups"][0]["rules"]
    assert rule["for"] == "10000ms"
    assert rule["expr"] == (
        'max(lag_seconds) > 20 and sum(rate(failed_total{le="1.0"}[120000ms])) > 14.4 * 0.005 and a[60000ms] > 6'
    )


def test_factor_one_changes_no_length_of_time() -> None:
    """With factor 1 the rules mean what they meant."""
    (rule,) = yaml.safe_load(quickened(SAMPLE, 1))["groups"][0]["rules"]
    assert rule["for"] == "300000ms"
    assert "> 600 and" in rule["expr"]


def test_no_time_of_the_delivered_rules_is_forgotten() -> None:
    """Every duration in what is delivered is scaled: none is left that was written for production."""
    for group in yaml.safe_load(quickened(RULES.read_text(), 30))["groups"]:
        for rule in group["rules"]:
            assert UNSCALED.findall(f"{rule['for']} {rule['expr']}") == [], rule["alert"]
