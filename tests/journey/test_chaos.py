"""A small campaign of `./dev chaos`: three Kafka nodes, three database members, a fault proxy, all kinds of faults."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import broker
from deploy.local.chaos.plan import KINDS
from deploy.local.errors import LocalError
from deploy.local.stack import CHECKOUT

BASE_PORT = int(os.environ.get("CHAOS_BASE_PORT", "27000"))
KILLS = int(os.environ.get("CHAOS_KILLS", "8"))
DOSSIERS = int(os.environ.get("CHAOS_DOSSIERS", "45"))


def test_a_small_campaign_loses_nothing(tmp_path: Path) -> None:
    """Kills and every other kind of fault under load: nothing lost, nothing twice, KPIs exact, everybody well again."""
    if os.environ.get("DOSSIERBUS_BROKER") == "embedded":
        pytest.skip("durability is claimed on genuine Kafka only")
    try:
        broker.prepare("kafka", tmp_path / "probe", BASE_PORT)
    except LocalError as error:
        pytest.skip(str(error))
    wish = ["--kills", str(KILLS), "--seed", "2026", "--dossiers", str(DOSSIERS), "--json"]
    place = ["--root", str(tmp_path / "chaos"), "--base-port", str(BASE_PORT)]
    command = [sys.executable, "-m", "deploy.local.cli", "chaos", *wish, *place]
    ended = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
    told = json.loads(ended.stdout)
    assert (told["failures"], told["never_well"]) == ([], [])
    assert [check for check in told["checks"] if not check["ok"]] == []
    assert (told["lost"], told["duplicated"], told["kpis_exact"]) == (0, 0, True)
    assert ended.returncode == 0
    assert told["kills"] == KILLS
    assert set(told["faults"]) == set(KINDS)
    assert told["dossiers"] >= DOSSIERS
    assert {"kill_role", "step_down_mongo"} <= set(told["recovery_s"])
    assert 0 < told["longest_pause_s"] < 120
