"""Labels of components against those that are configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import LabelUnknown
from edged.manifest import App, parse
from edged.runtime_config import RuntimeConfig, check_labels
from edged.runtime_config.model import DatabaseFile, StoreFile

FILE = Path("/app/spin.toml")
CACHE = RuntimeConfig(key_value_stores={"cache": StoreFile()})


def app(stores: str = "[]", databases: str = "[]") -> App:
    return parse(
        f"""spin_manifest_version = 2
application.name = "app"
[[trigger.http]]
route = "/"
component = "c"
[component.c]
source = "c.wasm"
key_value_stores = {stores}
sqlite_databases = {databases}
""".encode(),
        FILE,
    )


def test_default_is_always_there() -> None:
    check_labels(app(), RuntimeConfig())
    check_labels(app('["default"]', '["default"]'), RuntimeConfig())


def test_what_is_configured_is_there() -> None:
    check_labels(app('["default", "cache"]'), CACHE)
    check_labels(app("[]", '["notes"]'), RuntimeConfig(sqlite_databases={"notes": DatabaseFile()}))


def test_what_is_not() -> None:
    with pytest.raises(LabelUnknown) as caught:
        check_labels(app('["default", "cahce"]', '["cache"]'), CACHE)
    assert caught.value.message == (
        f"{FILE}:6: component `c` has the key-value store `cahce`, which is not configured, did you mean `cache`?\n"
        f"{FILE}:6: component `c` has the SQLite database `cache`, which is not configured"
    )
    assert caught.value.remedy == (
        "Add [key_value_store.cahce] and [sqlite_database.cache] to a runtime config (--runtime-config-file), or use "
        "`default`."
    )
