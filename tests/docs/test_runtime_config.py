"""docs/runtime-config.md names every table, type and key of a runtime config, and no other."""

from __future__ import annotations

from pathlib import Path

from edged.runtime_config import parse
from edged.runtime_config.grammar import Context, Kind, Refused, document, plain_tables, top, typed_tables
from tests.docs.tables import DOCS, names, rows

PAGE = "runtime-config.md"
CONTEXT = Context(Path("/"))

Key = tuple[str, str, str, bool]
"""Table, type (empty where there is none), key, and whether it must be there."""


def documented() -> list[Key]:
    found: list[Key] = []
    for cells in rows(PAGE, "table"):
        table, *types, key, _what = cells
        for kind in names(types[0]) if types else [""]:
            found.append((names(table)[0].removesuffix(".LABEL"), kind, names(key)[0], key.startswith("**")))
    return found


def known() -> list[Key]:
    found = [
        (table, "", key, field.required)
        for table, kind in plain_tables(CONTEXT).items()
        for key, field in kind.fields.items()
    ]
    for table, kinds in typed_tables(CONTEXT).items():
        for name, kind in kinds.items():
            if isinstance(kind, Kind):
                found += [(table, name, key, field.required) for key, field in kind.fields.items()]
    return found


def test_keys_of_tables() -> None:
    assert sorted(documented()) == sorted(known())


def test_other_keys() -> None:
    found = {name for cells in rows(PAGE, "key") for name in names(cells[0])}
    assert found == set(top(CONTEXT))


def test_every_table_of_the_file_is_documented() -> None:
    tables = {table for table, *_ in documented()} | {name for cells in rows(PAGE, "key") for name in names(cells[0])}
    assert set(document(CONTEXT)) == tables | {"config_provider"}


def test_refused_types() -> None:
    page = (DOCS / PAGE).read_text()
    refused = {
        name for kinds in typed_tables(CONTEXT).values() for name, kind in kinds.items() if isinstance(kind, Refused)
    }
    sentences = " ".join(page.split()).split(". ")
    said = {name for sentence in sentences if "refused" in sentence and "type" in sentence for name in names(sentence)}
    assert refused <= said


def test_the_example() -> None:
    page = (DOCS / PAGE).read_text()
    example = "\n".join(line[4:] for line in page.split("\n## ")[0].splitlines() if line.startswith("    "))
    config = parse(example.encode(), DOCS / "rc.toml")
    assert set(config.key_value_stores) == {"cache"}
