"""A limit is said once: a second line with its name would change the first without a word."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("file", ["edged/limits.py", "bgp/limits.py", "registry/limits.py", "provisioning/limits.py"])
def test_no_name_is_given_twice(file: str) -> None:
    names = Counter(re.findall(r"^([A-Z]\w*)(?:: [^=]+)? = ", (ROOT / file).read_text(), re.MULTILINE))
    assert names
    assert [name for name, count in names.items() if count > 1] == []
