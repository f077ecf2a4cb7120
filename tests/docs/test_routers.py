"""The configurations in docs/routers.md are what BIRD, FRR and edged itself take."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from edged.node.config_file import parse

_TEXT = (Path(__file__).parents[2] / "docs" / "routers.md").read_text()


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", _TEXT, re.DOTALL)
    return str(found)


def checks(command: list[str], file: Path, text: str) -> bool:
    """vtysh ends with 0 after some lines that it did not know, and says which."""
    file.write_text(text)
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "% " not in done.stdout + done.stderr


CHECKS = {"bird": ["/usr/sbin/bird", "-p", "-c"], "frr": ["vtysh", "-C", "-f"]}


@pytest.mark.parametrize("language", CHECKS)
def test_a_router_takes_it(language: str, tmp_path: Path) -> None:
    assert checks(CHECKS[language], tmp_path / "conf", block(language))


@pytest.mark.parametrize("language", CHECKS)
def test_a_router_would_not_take_anything(language: str, tmp_path: Path) -> None:
    assert not checks(CHECKS[language], tmp_path / "conf", block(language).replace("64500", "64500x"))


def test_edged_takes_its_side(tmp_path: Path) -> None:
    base = '[node]\nname = "a"\nregion = "eu"\nstate_dir = "state"\n[http]\nlisten = ["0.0.0.0:80"]\n'
    config = parse((base + block("toml")).encode(), tmp_path / "node.toml")
    assert config.bgp is not None
    assert [str(peer.address) for peer in config.bgp.peers] == ["192.0.2.1"]
