"""Variables from the environment of the process, and from a dotenv file."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trio
from dotenv.parser import parse_stream

from edged.errors import VariablesUnavailable
from edged.limits import DOTENV_BYTES_MAX
from edged.runtime_config.model import ENVIRONMENT_PREFIX


@dataclass(frozen=True, slots=True)
class EnvironmentProvider:
    """A `Provider` that reads `PREFIX_NAME`, with the variable's name in capitals.

    Attributes:
        environment: of the process.
        prefix: empty for the name alone.
        dotenv: a file for names that the environment does not have. It is read at each load.
        dotenv_required: whether it is a mistake if that file is not there.
    """

    environment: Mapping[str, str] = field(repr=False)
    prefix: str = ENVIRONMENT_PREFIX
    dotenv: Path | None = None
    dotenv_required: bool = True

    async def values(self, names: Collection[str]) -> Mapping[str, str]:
        wanted = {name: f"{self.prefix}_{name.upper()}" if self.prefix else name.upper() for name in names}
        lines = await trio.to_thread.run_sync(self._read_dotenv)
        found = {}
        for name, key in wanted.items():
            value = self.environment.get(key, lines.get(key))
            if value is not None:
                found[name] = _text(key, value)
        return found

    def _read_dotenv(self) -> Mapping[str, str]:
        if self.dotenv is None:
            return {}
        try:
            with self.dotenv.open("rb") as file:
                data = file.read(DOTENV_BYTES_MAX + 1)
        except FileNotFoundError:
            if not self.dotenv_required:
                return {}
            raise self._failed(" is not there") from None
        except OSError as error:
            raise self._failed(f" cannot be read: {error.strerror}") from None
        if len(data) > DOTENV_BYTES_MAX:
            raise self._failed(f" has more than {DOTENV_BYTES_MAX} bytes")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise self._failed(f":{line}: not UTF-8") from None
        # The library's own reader skips what it does not understand, and puts variables into values.
        bindings = list(parse_stream(io.StringIO(text)))
        for binding in bindings:
            if binding.error:
                raise self._failed(f":{binding.original.line}: no NAME=value")
        return {
            binding.key: binding.value for binding in bindings if binding.key is not None and binding.value is not None
        }

    def _failed(self, text: str) -> VariablesUnavailable:
        return VariablesUnavailable(f"{self.dotenv}{text}", remedy="Correct the file: one NAME=value on each line.")


def _text(key: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise VariablesUnavailable(f"{key} in the environment is not UTF-8", remedy="Correct or unset it.") from None
    return value
