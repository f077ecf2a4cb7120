import pytest

from edged.manifest.template import Name, parse_template


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("{{ a }}", (Name("a"),)),
        ("{{a}}", (Name("a"),)),
        ("x-{{ a }}-y", ("x-", Name("a"), "-y")),
        ("{{ a }}{{ b }}", (Name("a"), Name("b"))),
        ("{ a } }} \\{", ("{ a } }} \\{",)),
        ("{{{a}}", (Name("{a"),)),
        ("{{ }}", (Name(""),)),
    ],
)
def test_parts(text: str, parts: tuple[str | Name, ...]) -> None:
    assert parse_template(text).parts == parts
    assert parse_template(text).text == text


@pytest.mark.parametrize("text", ["{{", "{{ a", "{{ a }} {{ b", "{{ a }"])
def test_unclosed(text: str) -> None:
    with pytest.raises(ValueError, match="without its"):
        parse_template(text)


def test_render() -> None:
    template = parse_template("{{ a }}/{{ b }}/{{ a }}")
    assert template.names == ("a", "b")
    assert template.render({"a": "{{ b }}", "b": "2", "c": "3"}) == "{{ b }}/2/{{ b }}"


def test_render_without_a_value() -> None:
    with pytest.raises(KeyError):
        parse_template("{{ a }}").render({})
