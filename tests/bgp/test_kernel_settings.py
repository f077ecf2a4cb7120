from __future__ import annotations

from pathlib import Path

import pytest

from bgp.kernel_settings import SETTINGS, check_settings

GOOD = {"rp_filter": 2, "arp_ignore": 1, "arp_announce": 2}


def machine(folder: Path, **interfaces: dict[str, int]) -> Path:
    for interface, values in interfaces.items():
        made = folder / "net/ipv4/conf" / interface
        made.mkdir(parents=True)
        for name, value in (dict.fromkeys(GOOD, 0) | values).items():
            (made / name).write_text(f"{value}\n")
    return folder


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert check_settings(root=machine(tmp_path, all=GOOD, default={}, lo={}, eth0={})) == ()


@pytest.mark.parametrize(
    ("name", "of_all", "own", "wrong"),
    [
        # The higher of both is in force.
        ("rp_filter", 0, 0, ""),
        ("rp_filter", 1, 0, "all"),
        ("rp_filter", 0, 1, "eth0"),
        ("rp_filter", 1, 2, ""),
        ("rp_filter", 2, 1, ""),
        ("arp_ignore", 0, 0, "all"),
        ("arp_ignore", 0, 1, ""),
        ("arp_ignore", 2, 1, ""),
        ("arp_ignore", 0, 3, "eth0"),
        ("arp_ignore", 8, 0, ""),
        ("arp_announce", 1, 0, "all"),
        ("arp_announce", 0, 2, ""),
    ],
)
def test_each_setting(name: str, of_all: int, own: int, wrong: str, tmp_path: Path) -> None:
    root = machine(tmp_path, all=GOOD | {name: of_all}, eth0={name: own})
    problems = check_settings(root=root)
    assert [problem.key for problem in problems] == ([f"net.ipv4.conf.{wrong}.{name}"] if wrong else [])
    for problem in problems:
        assert problem.value == max(of_all, own)
        assert f"{problem.key} = " in problem.remedy
        assert str(problem).startswith(f"{problem.key} is {problem.value}: ")


def test_the_remedies_work(tmp_path: Path) -> None:
    root = machine(tmp_path, all={"rp_filter": 1}, eth0={}, eth1={})
    problems = check_settings(root=root)
    assert {problem.key.rpartition(".")[2] for problem in problems} == {setting.name for setting in SETTINGS}
    for problem in problems:
        key, _, value = problem.remedy.removeprefix("Set ").partition(" in ")[0].partition(" = ")
        (root / key.replace(".", "/")).write_text(value)
    assert check_settings(root=root) == ()


def test_arp_matters_only_where_others_ask(tmp_path: Path) -> None:
    root = machine(tmp_path, all={}, eth0={})
    assert check_settings(shared_segment=False, root=root) == ()
    assert len(check_settings(root=root)) == 2


def test_only_the_interfaces_that_are_named(tmp_path: Path) -> None:
    root = machine(tmp_path, all={}, eth0=GOOD, eth1={"rp_filter": 1})
    assert check_settings(("eth0",), root=root) == ()
    assert "net.ipv4.conf.eth1.rp_filter" in {problem.key for problem in check_settings(root=root)}


def test_what_cannot_be_read_is_no_problem(tmp_path: Path) -> None:
    assert check_settings(root=tmp_path) == ()
    root = machine(tmp_path, all={}, eth0={})
    for file in (root / "net/ipv4/conf/eth0").iterdir():
        file.write_text("nonsense")
    assert check_settings(root=root) == ()
    assert check_settings(("eth9",), root=root) == ()
