"""What will happen by itself."""

from __future__ import annotations

import trio

from tests.simulator.world import World, run_world


def test_works_are_done_at_their_moments_in_their_order() -> None:
    async def main(world: World) -> list[tuple[float, str]]:
        done: list[tuple[float, str]] = []

        def work(word: str) -> None:
            done.append((world.now, word))
            if word == "b":
                world.agenda.at(world.now, work, "at once")

        world.agenda.after(3, work, "c")
        world.agenda.at(2, work, "b")
        world.agenda.at(2, work, "b again")
        world.agenda.after(0, work, "a")
        await trio.sleep(2.5)
        world.agenda.at(1, work, "late")
        await trio.sleep(5)
        assert world.agenda.done == 6
        return done

    assert run_world(1, main) == [
        (0, "a"),
        (2, "b"),
        (2, "b again"),
        (2, "at once"),
        (2.5, "late"),
        (3, "c"),
    ]
