"""The Python SDK and what Spin adds to WASI: key-value stores, SQLite, variables. One path is one call.

What an interface refuses is answered with 403 and the error's name.
"""

import json
from urllib.parse import unquote, urlsplit

from spin_sdk import http, key_value, sqlite, variables
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports.sqlite import (
    Connection,
    Value,
    Value_Blob,
    Value_Integer,
    Value_Null,
    Value_Real,
    Value_Text,
)
from spin_sdk.wit.types import Err


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        path = urlsplit(request.uri).path
        feature, *arguments = [unquote(part) for part in path.removeprefix("/").split("/")]
        try:
            return answer(200, FEATURES[feature](request.body or b"", *arguments))
        except Err as error:
            return answer(403, repr(error.value).encode())


def answer(status: int, content: bytes) -> Response:
    return Response(status, {"content-type": "text/plain; charset=utf-8"}, content)


def store_get(body: bytes, label: str, key: str) -> bytes:
    with key_value.open(label) as store:
        value = store.get(key)
        return b"nothing" if value is None else value


def store_set(body: bytes, label: str, key: str) -> bytes:
    with key_value.open(label) as store:
        store.set(key, body)
    return b"set"


def store_delete(body: bytes, label: str, key: str) -> bytes:
    with key_value.open(label) as store:
        store.delete(key)
    return b"deleted"


def store_exists(body: bytes, label: str, key: str) -> bytes:
    with key_value.open(label) as store:
        return json.dumps(store.exists(key)).encode()


def store_keys(body: bytes, label: str) -> bytes:
    with key_value.open(label) as store:
        return json.dumps(store.get_keys()).encode()


def sql(body: bytes, label: str) -> bytes:
    """The body is a JSON list of statements, each a list of the statement and its parameters."""
    results = []
    with sqlite.open(label) as connection:
        for statement, *parameters in json.loads(body):
            results.append(execute(connection, statement, parameters))
    return json.dumps(results).encode()


def execute(connection: Connection, statement: str, parameters: list[object]) -> list[object]:
    result = connection.execute(statement, [to_value(parameter) for parameter in parameters])
    return [result.columns, [[from_value(value) for value in row.values] for row in result.rows]]


def to_value(parameter: object) -> Value:
    match parameter:
        case None:
            return Value_Null()
        case int():
            return Value_Integer(parameter)
        case float():
            return Value_Real(parameter)
        case str():
            return Value_Text(parameter)
    raise TypeError(parameter)


def from_value(value: Value) -> object:
    match value:
        case Value_Null():
            return None
        case Value_Blob(data):
            return data.hex()
    return value.value


FEATURES = {
    "": lambda body: b"hello",
    "delete": store_delete,
    "exists": store_exists,
    "get": store_get,
    "keys": store_keys,
    "set": store_set,
    "sql": sql,
    "variable": lambda body, name: variables.get(name).encode(),
}
