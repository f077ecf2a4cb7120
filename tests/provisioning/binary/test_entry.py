from __future__ import annotations

import pytest

from provisioning.binary.entry import put_away

_LOADER = {
    "_PYI_ARCHIVE_FILE": "/x/edged",
    "_PYI_APPLICATION_HOME_DIR": "/x/_internal",
    "_PYI_PARENT_PROCESS_LEVEL": "0",
}


@pytest.mark.parametrize(
    ("before", "loaders"),
    [
        ({}, {"LD_LIBRARY_PATH": "/x/_internal"}),
        (
            {"LD_LIBRARY_PATH": "/opt/lib"},
            {"LD_LIBRARY_PATH": "/x/_internal:/opt/lib", "LD_LIBRARY_PATH_ORIG": "/opt/lib"},
        ),
        ({"LD_LIBRARY_PATH": ""}, {"LD_LIBRARY_PATH": "/x/_internal", "LD_LIBRARY_PATH_ORIG": ""}),
    ],
)
def test_the_environment_is_what_it_was(before: dict[str, str], loaders: dict[str, str]) -> None:
    mine = {"PATH": "/bin", "PYI": "mine"}
    environment = mine | _LOADER | loaders
    put_away(environment)
    assert environment == mine | before
