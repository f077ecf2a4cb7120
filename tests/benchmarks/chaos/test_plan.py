"""What is to happen, by a seed."""

from __future__ import annotations

from itertools import combinations

from benchmarks.chaos.plan import ACTIONS, DOWN_S, LASTS_S, Strike, plan

NODES = ("a", "b", "c")
DOWN = {action for action in ACTIONS if action.startswith("kill ") and action != "kill a worker"}
DOWN |= {"away for three releases", "the certificate expires"}


def test_a_seed_is_a_plan() -> None:
    assert plan(1, 600, NODES, 4.0) == plan(1, 600, NODES, 4.0) != plan(2, 600, NODES, 4.0)


def test_all_of_it_happens_in_ten_minutes() -> None:
    strikes = plan(1, 600, NODES, 4.0)
    assert {each.action for each in strikes} == set(ACTIONS)
    assert {each.node for each in strikes} == set(NODES)
    for each in strikes:
        lowest, highest = LASTS_S.get(each.action, (0.0, 0.0))
        assert 0 < each.at_s < 600
        assert lowest <= each.until_s - each.at_s <= highest + 1e-9
    assert [each.at_s for each in strikes] == sorted(each.at_s for each in strikes)


def test_nothing_gets_in_the_way_of_itself() -> None:
    """Of one node: what ends it keeps a distance, and one of a kind is under way at a time; others may be at once."""
    pairs = [pair for seed in range(20) for pair in combinations(plan(seed, 600, NODES, 2.0), 2)]
    of_one_node = [(first, second) for first, second in pairs if first.node == second.node]
    for first, second in of_one_node:
        if first.action in DOWN and second.action in DOWN:
            assert second.at_s > first.until_s + DOWN_S
        elif first.action == second.action:
            assert second.at_s > first.until_s
    assert any(overlap(first, second) for first, second in of_one_node)


def overlap(first: Strike, second: Strike) -> bool:
    return second.at_s < first.until_s
