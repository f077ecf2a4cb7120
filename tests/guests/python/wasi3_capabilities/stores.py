"""Key-value stores, SQLite databases, variables."""

import json
from typing import Any

from spin_sdk import key_value, sqlite, util, variables
from spin_sdk.wit.imports import spin_sqlite_sqlite_3_1_0 as types


async def get(body: bytes, label: str, key: str) -> bytes:
    with await key_value.open(label) as store:
        value = await store.get(key)
        return b"nothing" if value is None else value


async def set_(body: bytes, label: str, key: str) -> bytes:
    with await key_value.open(label) as store:
        await store.set(key, body)
    return b"set"


async def delete(body: bytes, label: str, key: str) -> bytes:
    with await key_value.open(label) as store:
        await store.delete(key)
    return b"deleted"


async def exists(body: bytes, label: str, key: str) -> bytes:
    with await key_value.open(label) as store:
        return json.dumps(await store.exists(key)).encode()


async def keys(body: bytes, label: str) -> bytes:
    with await key_value.open(label) as store:
        return json.dumps(await util.collect(await store.get_keys())).encode()


async def variable(body: bytes, name: str) -> bytes:
    return (await variables.get(name)).encode()


async def sql(body: bytes, label: str) -> bytes:
    """The body is a JSON list of statements, each a list of the statement and its parameters. Beside each result the
    last row's number and how many rows it changed."""
    results = []
    with await sqlite.Connection.open(label) as connection:
        for statement, *parameters in json.loads(body):
            columns, rows, end = await connection.execute(statement, list(map(_to_value, parameters)))
            found = [[_from_value(value) for value in row.values] for row in await util.collect((rows, end))]
            results.append([[columns, found], await connection.last_insert_rowid(), await connection.changes()])
    return json.dumps(results).encode()


def _to_value(parameter: object) -> Any:
    match parameter:
        case None:
            return types.Value_Null()
        case int():
            return types.Value_Integer(parameter)
        case float():
            return types.Value_Real(parameter)
        case str():
            return types.Value_Text(parameter)
    raise TypeError(parameter)


def _from_value(value: Any) -> object:
    if isinstance(value, types.Value_Null):
        return None
    return value.value.hex() if isinstance(value, types.Value_Blob) else value.value


ROUTES = {
    "delete": delete,
    "exists": exists,
    "get": get,
    "keys": keys,
    "set": set_,
    "sql": sql,
    "variable": variable,
}
