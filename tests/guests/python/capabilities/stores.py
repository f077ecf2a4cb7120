"""Key-value stores, SQLite databases, variables: Spin's own interfaces and those of WASI."""

import json
from typing import Any

from spin_sdk import key_value, sqlite, variables
from spin_sdk.wit.imports import atomics, batch, config_store, keyvalue_store, sqlite_3
from spin_sdk.wit.imports import sqlite as sqlite_types
from spin_sdk.wit.imports.atomics import Cas
from spin_sdk.wit.imports.keyvalue_store import Bucket
from values import to_json


def get(body: bytes, label: str, key: str) -> bytes:
    with key_value.open(label) as store:
        value = store.get(key)
        return b"nothing" if value is None else value


def set_(body: bytes, label: str, key: str) -> bytes:
    with key_value.open(label) as store:
        store.set(key, body)
    return b"set"


def delete(body: bytes, label: str, key: str) -> bytes:
    with key_value.open(label) as store:
        store.delete(key)
    return b"deleted"


def exists(body: bytes, label: str, key: str) -> bytes:
    with key_value.open(label) as store:
        return json.dumps(store.exists(key)).encode()


def keys(body: bytes, label: str) -> bytes:
    with key_value.open(label) as store:
        return json.dumps(store.get_keys()).encode()


def variable(body: bytes, name: str) -> bytes:
    return variables.get(name).encode()


def sql(body: bytes, label: str) -> bytes:
    """The body is a JSON list of statements, each a list of the statement and its parameters."""
    with sqlite.open(label) as connection:
        return json.dumps([_execute(sqlite_types, connection, *call) for call in json.loads(body)]).encode()


def sql3(body: bytes, label: str) -> bytes:
    """As /sql, by the newer interface: beside each result the last row's number and how many rows it changed."""
    results = []
    with sqlite_3.Connection.open(label) as connection:
        for call in json.loads(body):
            result = _execute(sqlite_3, connection, *call)
            results.append([result, connection.last_insert_rowid(), connection.changes()])
    return json.dumps(results).encode()


def _execute(types: Any, connection: Any, statement: str, *parameters: object) -> list[object]:
    result = connection.execute(statement, [_to_value(types, parameter) for parameter in parameters])
    return [result.columns, [[_from_value(types, value) for value in row.values] for row in result.rows]]


def _to_value(types: Any, parameter: object) -> Any:
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


def _from_value(types: Any, value: Any) -> object:
    if isinstance(value, types.Value_Null):
        return None
    return value.value.hex() if isinstance(value, types.Value_Blob) else value.value


def config(body: bytes, name: str) -> bytes:
    value = config_store.get(name)
    return b"nothing" if value is None else value.encode()


def config_all(body: bytes) -> bytes:
    return json.dumps(config_store.get_all()).encode()


def bucket(body: bytes, label: str) -> bytes:
    """The body is a JSON list of calls, each a list of a name of BUCKET and its arguments."""
    with keyvalue_store.open(label) as opened:
        results = [BUCKET[name](opened, *arguments) for name, *arguments in json.loads(body)]
    return json.dumps(to_json(results)).encode()


def _list_keys(bucket: Bucket) -> list[str]:
    """All of them, page by page."""
    response = bucket.list_keys(None)
    found = response.keys
    while response.cursor is not None:
        response = bucket.list_keys(response.cursor)
        found += response.keys
    return found


def _swap(bucket: Bucket, key: str, value: str, meanwhile: str | None) -> bytes | None:
    """Compare and swap; `meanwhile` is set between the two. Answers what was seen first."""
    cas = Cas.new(bucket, key)  # which swap takes away, so that there is nothing to close
    seen = cas.current()
    if meanwhile is not None:
        bucket.set(key, meanwhile.encode())
    atomics.swap(cas, value.encode())
    return seen


BUCKET = {
    "get": Bucket.get,
    "set": lambda bucket, key, value: bucket.set(key, value.encode()),
    "delete": Bucket.delete,
    "exists": Bucket.exists,
    "list-keys": _list_keys,
    "get-many": batch.get_many,
    "set-many": lambda bucket, pairs: batch.set_many(bucket, [(key, value.encode()) for key, value in pairs]),
    "delete-many": batch.delete_many,
    "increment": atomics.increment,
    "swap": _swap,
}

ROUTES = {
    "bucket": bucket,
    "config": config,
    "config-all": config_all,
    "delete": delete,
    "exists": exists,
    "get": get,
    "keys": keys,
    "set": set_,
    "sql": sql,
    "sql3": sql3,
    "variable": variable,
}
