"""node.toml: what it says, what it cannot say, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import NodeConfigInvalid, NodeConfigMissing
from edged.limits import (
    FETCH_RATE_BYTES_S_HIGHEST,
    FETCH_RATE_BYTES_S_LOWEST,
    FLEET_PORT,
    NODE_CONFIG_BYTES_MAX,
    NODE_STORAGE_BYTES,
    NODE_STORAGE_BYTES_HIGHEST,
    NODE_STORAGE_BYTES_LOWEST,
    NODE_WORKER_COUNT_MAX,
)
from edged.node.config import HttpsTable, Listen, NodeConfig
from edged.node.config_file import load, parse

FILE = Path("/etc/edged/node.toml")

NODE = """
[node]
name = "fra1"
region = "eu"
state_dir = "state"
"""
LEAST = NODE + '[http]\nlisten = [":80"]\n'


def read(text: str) -> NodeConfig:
    return parse(text.encode(), FILE)


def refused(text: str) -> str:
    with pytest.raises(NodeConfigInvalid) as caught:
        read(text)
    return caught.value.message


def test_the_least_that_a_file_says() -> None:
    config = read(LEAST)
    assert (config.node.name, config.node.region, config.node.workers) == ("fra1", "eu", 0)
    assert config.node.state_dir == Path("/etc/edged/state")
    assert config.node.key == Path("/etc/edged/state/identity/node.key")
    assert config.node.certificate == Path("/etc/edged/state/identity/node.crt")
    assert config.fleet.listen == Listen("0.0.0.0", FLEET_PORT)
    assert (config.fleet.roster, config.fleet.voucher) == (None, None)
    assert config.http.listen == (Listen("::", 80),)
    assert config.https == HttpsTable()
    assert config.admin == "/etc/edged/state/admin.sock"
    assert (config.storage_bytes_max, config.log_level, dict(config.limits)) == (NODE_STORAGE_BYTES, "info", {})


def test_all_that_a_file_says() -> None:
    config = read(
        NODE
        + """
workers = 2
identity = { key = "k.pem", certificate = "/c.pem" }
[fleet]
listen = "[::1]:7000"
roster = "roster.bin"
voucher = "voucher"
[http]
listen = ["127.0.0.1:80", "[::1]:80"]
[https]
listen = [":443"]
http3 = true
[[certificate]]
hosts = ["a.example", "*.b.example"]
certificate = "a.crt"
key = "a.key"
[admin]
listen = "127.0.0.1:9000"
[storage]
bytes_max = "2 TiB"
[limits]
memory_bytes_max = "64MiB"
cpu_s_max = 0.5
[runtime_config]
file = "rc.toml"
[network]
allow = ["private", "10.1.0.0/16"]
[log]
level = "debug"
"""
    )
    assert (config.node.workers, config.node.key, config.node.certificate) == (
        2,
        Path("/etc/edged/k.pem"),
        Path("/c.pem"),
    )
    assert config.fleet.listen == Listen("::1", 7000)
    assert str(config.fleet.listen) == "[::1]:7000"
    assert config.fleet.roster == Path("/etc/edged/roster.bin")
    assert config.fleet.voucher == Path("/etc/edged/voucher")
    assert config.http.listen == (Listen("127.0.0.1", 80), Listen("::1", 80))
    assert config.https == HttpsTable((Listen("::", 443),), http3=True)
    assert config.certificates[0].hosts == ("a.example", "*.b.example")
    assert config.admin == "127.0.0.1:9000"
    assert config.storage_bytes_max == 2 * 1024**4
    assert dict(config.limits) == {"memory_bytes_max": 64 * 1024**2, "cpu_s_max": 0.5}
    assert config.runtime_config == Path("/etc/edged/rc.toml")
    assert [str(network) for network in config.networks_allowed] == ["private", "10.1.0.0/16"]
    assert config.log_level == "debug"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "needs `node`"),
        (NODE, 1, "needs [http] or [https]"),
        (LEAST.replace("state_dir", "state_dri"), 5, "did you mean `state_dir`"),
        (LEAST + "[htps]\n", 8, "did you mean `https`"),
        (LEAST.replace("fra1", "Fra 1"), 3, "lower-case letters"),
        (LEAST.replace('":80"', '"80"'), 7, "is no address"),
        (LEAST.replace('[":80"]', "[]"), 7, "must not be empty"),
        (LEAST + '[https]\nlisten = [":443"]\n', 8, "needs a [[certificate]]"),
        (LEAST + '[[certificate]]\nhosts = ["a"]\ncertificate = "c"\nkey = "k"\n', 8, "needs [https]"),
        (LEAST + '[[certificate]]\nhosts = ["*"]\ncertificate = "c"\nkey = "k"\n', 9, "is no host"),
        (LEAST + '[log]\nlevel = "warn"\n', 9, "did you mean `warning`"),
        (LEAST + "[limits]\nmemory_bytes_max = true\n", 9, "must be a number"),
        (LEAST + '[limits]\nmemory_bytes_max = "1KiB"\n', 9, "outside of what can work"),
        (LEAST + '[limits]\nmemory_bytes_max = "1 s"\n', 9, "is not a quantity"),
        (LEAST + '[storage]\nbytes_max = "much"\n', 9, "is no size"),
        (LEAST + '[network]\nallow = ["home"]\n', 9, "is no network"),
        (LEAST + "[fleet]\nseeds = []\n", 9, "unknown field"),
        (LEAST + "[node", 8, "not valid TOML"),
    ],
)
def test_what_a_file_cannot_say(text: str, line: int, said: str) -> None:
    message = refused(text)
    assert f"{FILE}:{line}: " in message
    assert said in message


def test_all_problems_are_found_at_once() -> None:
    assert len(refused('[node]\nname = 1\nworkers = -1\n[log]\nlevel = "loud"\n').split("\n")) == 5


def test_a_host_has_one_certificate() -> None:
    entry = '[[certificate]]\nhosts = ["a.example"]\ncertificate = "c"\nkey = "k"\n'
    assert "has a certificate already, on line 10" in refused(LEAST + '[https]\nlisten = [":443"]\n' + entry + entry)


@pytest.mark.parametrize(
    ("table", "key", "lowest", "highest"),
    [
        ("node", "workers", 0, NODE_WORKER_COUNT_MAX),
        ("storage", "bytes_max", NODE_STORAGE_BYTES_LOWEST, NODE_STORAGE_BYTES_HIGHEST),
        ("fleet", "rate_bytes_s", FETCH_RATE_BYTES_S_LOWEST, FETCH_RATE_BYTES_S_HIGHEST),
    ],
)
def test_numbers_at_their_limits(table: str, key: str, lowest: int, highest: int) -> None:
    def text(number: int) -> str:
        return (
            LEAST.replace("[http]", f"{key} = {number}\n[http]")
            if table == "node"
            else f"{LEAST}[{table}]\n{key} = {number}\n"
        )

    for number in (lowest, highest):
        read(text(number))
    for number in (lowest - 1, highest + 1):
        assert f"must be between {lowest} and {highest}" in refused(text(number))


@pytest.mark.parametrize(("text", "bytes_s"), [("0", 0), ('"10MiB"', 10 * 1024**2)])
def test_a_rate(text: str, bytes_s: int) -> None:
    assert read(LEAST).fleet.rate_bytes_s == 0
    assert read(f"{LEAST}[fleet]\nrate_bytes_s = {text}\n").fleet.rate_bytes_s == bytes_s


def test_a_file_at_the_limit_and_over_it() -> None:
    assert len(LEAST) < NODE_CONFIG_BYTES_MAX
    padded = LEAST + "#" * (NODE_CONFIG_BYTES_MAX - len(LEAST))
    read(padded)
    assert f"at most {NODE_CONFIG_BYTES_MAX} bytes" in refused(padded + "#")


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(NodeConfigInvalid, match=":2: not UTF-8"):
        parse(b"[node]\n\xff", FILE)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NodeConfigMissing, match="No such file"):
        load(tmp_path / "node.toml")
    (tmp_path / "node.toml").write_text(LEAST)
    assert load(tmp_path / "node.toml").node.state_dir == tmp_path / "state"


def test_lines_of_keys() -> None:
    config = read(LEAST)
    assert (config.line("node.state_dir"), config.line("node.identity.key"), config.line("fleet.roster")) == (5, 2, 1)
