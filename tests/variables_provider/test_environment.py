"""Variables from the environment and from a dotenv file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import VariablesUnavailable
from edged.limits import DOTENV_BYTES_MAX
from edged.variables_provider.environment import EnvironmentProvider

SECRET = "geheim-1234"


async def failure(provider: EnvironmentProvider, name: str = "a") -> str:
    with pytest.raises(VariablesUnavailable) as caught:
        await provider.values([name])
    assert SECRET not in caught.value.message + repr(provider)
    return caught.value.message


async def test_names() -> None:
    environment = {"SPIN_VARIABLE_API_KEY": SECRET, "SPIN_VARIABLE_EMPTY": "", "SPIN_VARIABLE_low": "x", "OTHER": "y"}
    provider = EnvironmentProvider(environment)
    assert await provider.values(["api_key", "empty", "low", "other"]) == {"api_key": SECRET, "empty": ""}
    assert SECRET not in repr(provider)


@pytest.mark.parametrize(("prefix", "key"), [("APP", "APP_API_KEY"), ("", "API_KEY"), ("low", "low_API_KEY")])
async def test_prefix(prefix: str, key: str) -> None:
    assert await EnvironmentProvider({key: "1"}, prefix).values(["api_key"]) == {"api_key": "1"}


async def test_a_value_that_is_no_text() -> None:
    provider = EnvironmentProvider({"SPIN_VARIABLE_A": SECRET + "\udcff", "SPIN_VARIABLE_B": "1"})
    assert await failure(provider) == "SPIN_VARIABLE_A in the environment is not UTF-8"
    assert await provider.values(["b"]) == {"b": "1"}


async def test_dotenv(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# a comment\n\nexport SPIN_VARIABLE_A='x y'\nSPIN_VARIABLE_B=${HOME}\nSPIN_VARIABLE_C=2 # no\n"
        'SPIN_VARIABLE_D="1\\n2"\nSPIN_VARIABLE_E\nSPIN_VARIABLE_F=äß\nOTHER=1\nSPIN_VARIABLE_C=3\n'
    )
    provider = EnvironmentProvider({"SPIN_VARIABLE_C": "1"}, dotenv=file)
    values = await provider.values(["a", "b", "c", "d", "e", "f", "other"])
    assert values == {"a": "x y", "b": "${HOME}", "c": "1", "d": "1\n2", "f": "äß"}
    assert (await EnvironmentProvider({}, dotenv=file).values(["c"])) == {"c": "3"}


async def test_dotenv_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    provider = EnvironmentProvider({}, dotenv=file, dotenv_required=False)
    assert await provider.values(["a"]) == {}
    file.write_text("SPIN_VARIABLE_A=1")
    assert await provider.values(["a"]) == {"a": "1"}


async def test_a_dotenv_that_was_named_must_be_there(tmp_path: Path) -> None:
    assert await failure(EnvironmentProvider({}, dotenv=tmp_path / ".env")) == f"{tmp_path / '.env'} is not there"


@pytest.mark.parametrize("required", [True, False])
async def test_a_dotenv_that_cannot_be_read(tmp_path: Path, required: bool) -> None:
    provider = EnvironmentProvider({}, dotenv=tmp_path, dotenv_required=required)
    assert await failure(provider) == f"{tmp_path} cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (f"A=1\nB='{SECRET}\n".encode(), ":2: no NAME=value"),
        (f"= {SECRET}".encode(), ":1: no NAME=value"),
        (f"A=1\nB={SECRET}\xff".encode("latin-1"), ":2: not UTF-8"),
    ],
)
async def test_a_dotenv_that_is_none(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / ".env").write_bytes(data)
    assert await failure(EnvironmentProvider({}, dotenv=tmp_path / ".env")) == f"{tmp_path / '.env'}{reason}"


async def test_a_large_dotenv(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    line = b"SPIN_VARIABLE_A=1\n#"
    file.write_bytes(line + b"x" * (DOTENV_BYTES_MAX - len(line)))
    provider = EnvironmentProvider({}, dotenv=file)
    assert await provider.values(["a"]) == {"a": "1"}
    file.write_bytes(file.read_bytes() + b"x")
    assert f"more than {DOTENV_BYTES_MAX} bytes" in await failure(provider)
