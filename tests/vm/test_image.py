from __future__ import annotations

import pytest

from tests.vm import image


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ((), None),
        (("deb http://mirror.example/debian bookworm main\n",), "http://mirror.example/debian"),
        (
            ("deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian/ bookworm main",),
            "https://mirror.example/debian",
        ),
        (("Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n",), "http://mirror.example/debian"),
        # Others stand beside it, also one whose address begins in the same way.
        (
            ("deb https://nodes.example/node_20.x nodistro main\n", "URIs: http://mirror.example/debian-security\n"),
            None,
        ),
        (("# deb http://old.example/debian bookworm main\n",), None),
    ],
)
def test_the_mirror_is_the_one_that_this_machine_uses(texts: tuple[str, ...], wanted: str | None) -> None:
    assert image.mirror(texts) == wanted


def test_another_recipe_has_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.digest()
    assert before == image.digest()
    monkeypatch.setattr(image, "PACKAGES", (*image.PACKAGES, "tmux"))
    assert image.digest() != before


def test_nothing_of_edged_is_in_the_image() -> None:
    assert not [text for text in (*image.PACKAGES, *image.FILES, *image.FILES.values()) if "edged" in text]
