from __future__ import annotations

import pytest

from bgp.errors import PrefixInvalid, PrefixRefused
from bgp.prefix import AllowList, parse_prefix


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        ("2002:cb00:7100::/48",) * 2,
    ],
)
def test_a_prefix(text: str, shown: str) -> None:
    assert str(parse_prefix(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "203.0.113.0",
        "203.0.113.1/24",
        "203.0.113.0/33",
        "2002:cb00:7100::1/48",  # 6to4, with bits behind its length
        "0.0.0.0/0",
        "::/0",
        "2001:db8::%; } x/48",  # Python takes anything behind a `%`, and writes it out again
        "2001:db8::%1/48",
        "::ffff:203.0.113.0/120",  # the other family in disguise
        "::ffff:0:0/96",
        "203.0.113.0/24 next-hop 192.0.2.1",
        "203.0.113.0/24\n",
        "\u0662\u0660\u0663.0.113.0/24",
        24,
        None,
    ],
)
def test_what_is_no_prefix(text: object) -> None:
    with pytest.raises(PrefixInvalid):
        parse_prefix(text)


@pytest.mark.parametrize(
    "text", ["203.0.113.0/25", "203.0.113.128/25", "203.0.112.0/23", "198.51.100.0/24", "2001:db8::/49"]
)
def test_a_list_has_its_prefixes_and_no_other(text: str) -> None:
    allowed = AllowList(map(parse_prefix, ("203.0.113.0/24", "2001:db8::/48")))
    for each in allowed:
        allowed.check(each)
    with pytest.raises(PrefixRefused):
        allowed.check(parse_prefix(text))
