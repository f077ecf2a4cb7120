"""A server that speaks as much Hrana 3 over HTTP as a guest's connection needs, over SQLite files.

As sqld does, it has an SQLite connection for each stream, and a new baton with each answer.
"""

from __future__ import annotations

import sqlite3
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from tests.host.json_server import Asked, Reply

_PARSE = {
    "null": lambda value: None,
    "integer": lambda value: int(value["value"]),
    "float": lambda value: float(value["value"]),
    "text": lambda value: value["value"],
    "blob": lambda value: b64decode(value["base64"]),
}


class Hrana:
    """Attributes:
    streams: baton -> its connection.
    """

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._token = token
        self._batons = 0
        self.streams: dict[str, sqlite3.Connection] = {}

    def close(self) -> None:
        for connection in self.streams.values():
            connection.close()
        self.streams.clear()

    async def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {self._token}":
            return 401, {"error": f"no such token: {asked.headers.get('authorization')}"}
        if asked.path != "/v3/pipeline":
            return 404, b"no such page"
        baton = asked.body["baton"]
        if baton is None:
            stream = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        elif baton in self.streams:
            stream = self.streams.pop(baton)
        else:
            return 400, b"Received an invalid baton"
        results = []
        for request in asked.body["requests"]:
            if request["type"] == "close":
                stream.close()
                results.append({"type": "ok", "response": {"type": "close"}})
                return 200, {"baton": None, "base_url": None, "results": results}
            results.append(_done(stream, request))
        self._batons += 1
        self.streams[f"baton-{self._batons}"] = stream
        return 200, {"baton": f"baton-{self._batons}", "base_url": None, "results": results}


def _done(stream: sqlite3.Connection, request: dict[str, Any]) -> object:
    if request["type"] == "get_autocommit":
        return _ok(type="get_autocommit", is_autocommit=not stream.in_transaction)
    statement = request["stmt"]
    arguments = [_PARSE[value["type"]](value) for value in statement.get("args", ())]
    try:
        cursor = stream.execute(statement["sql"], arguments)
        rows = [[_value(value) for value in row] for row in cursor]
    except (sqlite3.Error, sqlite3.Warning) as error:
        return {"type": "error", "error": {"message": str(error), "code": getattr(error, "sqlite_errorname", "OTHER")}}
    columns = [{"name": column[0], "decltype": None} for column in cursor.description or ()]
    return _ok(type="execute", result={"cols": columns, "rows": rows, "affected_row_count": 0})


def _ok(**response: object) -> object:
    return {"type": "ok", "response": response}


def _value(value: int | float | str | bytes | None) -> object:
    match value:
        case None:
            return {"type": "null"}
        case int():
            return {"type": "integer", "value": str(value)}
        case float():
            return {"type": "float", "value": value if abs(value) != float("inf") else None}
        case str():
            return {"type": "text", "value": value}
        case bytes():
            return {"type": "blob", "base64": b64encode(value).decode().rstrip("=")}
