"""Types of `fermyon:spin` without a version: Spin's interfaces before 2.0, which had no resources.

Source: spinframework/spin, wit/deps/spin@unversioned. Modules of that time bring their types with them only if their
bindings were new enough; these are what the host's side of them (`edged.host.legacy`) is written for.
"""

from __future__ import annotations

from collections.abc import Mapping

from edged.wasm.types import (
    Enum,
    Function,
    InstanceType,
    List,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    WitType,
)

_BOOL, _U8, _U16, _U32, _U64, _S64, _F32, _F64, _STRING = (
    Primitive(kind) for kind in ("BOOL", "U8", "U16", "U32", "U64", "S64", "F32", "F64", "STRING")
)
_BYTES = List(_U8)
_STRINGS = List(_STRING)

# --- key-value, config ---

_KEY_VALUE_ERROR = Variant(
    (
        ("store-table-full", None),
        ("no-such-store", None),
        ("access-denied", None),
        ("invalid-store", None),
        ("no-such-key", None),
        ("io", _STRING),
    )
)
_KEY_VALUE = {
    "open": Function((_STRING,), Result(_U32, _KEY_VALUE_ERROR)),
    "get": Function((_U32, _STRING), Result(_BYTES, _KEY_VALUE_ERROR)),
    "set": Function((_U32, _STRING, _BYTES), Result(None, _KEY_VALUE_ERROR)),
    "delete": Function((_U32, _STRING), Result(None, _KEY_VALUE_ERROR)),
    "exists": Function((_U32, _STRING), Result(_BOOL, _KEY_VALUE_ERROR)),
    "get-keys": Function((_U32,), Result(_STRINGS, _KEY_VALUE_ERROR)),
    "close": Function((_U32,), None),
}
_CONFIG_ERROR = Variant(tuple((case, _STRING) for case in ("provider", "invalid-key", "invalid-schema", "other")))
_CONFIG = {"get-config": Function((_STRING,), Result(_STRING, _CONFIG_ERROR))}

# --- sqlite ---

_SQLITE_VALUE = Variant((("integer", _S64), ("real", _F64), ("text", _STRING), ("blob", _BYTES), ("null", None)))
_SQLITE_ERROR = Variant(
    (
        ("no-such-database", None),
        ("access-denied", None),
        ("invalid-connection", None),
        ("database-full", None),
        ("io", _STRING),
    )
)
_QUERY_RESULT = Record((("columns", _STRINGS), ("rows", List(Record((("values", List(_SQLITE_VALUE)),))))))
_SQLITE = {
    "open": Function((_STRING,), Result(_U32, _SQLITE_ERROR)),
    "execute": Function((_U32, _STRING, List(_SQLITE_VALUE)), Result(_QUERY_RESULT, _SQLITE_ERROR)),
    "close": Function((_U32,), None),
}

# --- http ---

_METHOD = Enum(("get", "post", "put", "delete", "patch", "head", "options"))
_PAIRS = List(Tuple((_STRING, _STRING)))
_REQUEST = Record(
    (("method", _METHOD), ("uri", _STRING), ("headers", _PAIRS), ("params", _PAIRS), ("body", Option(_BYTES)))
)
_RESPONSE = Record((("status", _U16), ("headers", Option(_PAIRS)), ("body", Option(_BYTES))))
_HTTP_ERROR = Enum(
    ("success", "destination-not-allowed", "invalid-url", "request-error", "runtime-error", "too-many-requests")
)
_HTTP = {"send-request": Function((_REQUEST,), Result(_RESPONSE, _HTTP_ERROR))}
_INBOUND_HTTP = {"handle-request": Function((_REQUEST,), _RESPONSE)}

# --- redis ---

_REDIS_ERROR = Enum(("success", "error"))
_REDIS_PARAMETER = Variant((("int64", _S64), ("binary", _BYTES)))
_REDIS_RESULT = Variant((("nil", None), ("status", _STRING), ("int64", _S64), ("binary", _BYTES)))
_REDIS = {
    "publish": Function((_STRING, _STRING, _BYTES), Result(None, _REDIS_ERROR)),
    "get": Function((_STRING, _STRING), Result(_BYTES, _REDIS_ERROR)),
    "set": Function((_STRING, _STRING, _BYTES), Result(None, _REDIS_ERROR)),
    "incr": Function((_STRING, _STRING), Result(_S64, _REDIS_ERROR)),
    "del": Function((_STRING, _STRINGS), Result(_S64, _REDIS_ERROR)),
    "sadd": Function((_STRING, _STRING, _STRINGS), Result(_S64, _REDIS_ERROR)),
    "smembers": Function((_STRING, _STRING), Result(_STRINGS, _REDIS_ERROR)),
    "srem": Function((_STRING, _STRING, _STRINGS), Result(_S64, _REDIS_ERROR)),
    "execute": Function((_STRING, _STRING, List(_REDIS_PARAMETER)), Result(List(_REDIS_RESULT), _REDIS_ERROR)),
}
_INBOUND_REDIS = {"handle-message": Function((_BYTES,), Result(None, _REDIS_ERROR))}

# --- postgres, mysql ---

_DATA_TYPES = (
    *("boolean", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("floating32", "floating64", "str", "binary"),
)
_DATA: tuple[WitType, ...] = (
    *(Primitive(kind) for kind in ("BOOL", "S8", "S16", "S32", "S64", "U8", "U16", "U32", "U64")),
    *(_F32, _F64, _STRING, _BYTES),
)
_PARAMETERS = tuple(zip(_DATA_TYPES, _DATA, strict=True))
_PARAMETER = Variant((*_PARAMETERS, ("db-null", None)))
_DB_VALUE = Variant((*_PARAMETERS, ("db-null", None), ("unsupported", None)))
_COLUMN = Record((("name", _STRING), ("data-type", Enum((*_DATA_TYPES, "other")))))
_ROW_SET = Record((("columns", List(_COLUMN)), ("rows", List(List(_DB_VALUE)))))
_SQL_ERROR = Variant(
    (
        ("success", None),
        ("connection-failed", _STRING),
        ("bad-parameter", _STRING),
        ("query-failed", _STRING),
        ("value-conversion-failed", _STRING),
        ("other-error", _STRING),
    )
)
_QUERY = Function((_STRING, _STRING, List(_PARAMETER)), Result(_ROW_SET, _SQL_ERROR))
_POSTGRES = {"query": _QUERY, "execute": Function(_QUERY.params, Result(_U64, _SQL_ERROR))}
_MYSQL = {"query": _QUERY, "execute": Function(_QUERY.params, Result(None, _SQL_ERROR))}

# --- llm ---

_INFERENCING_PARAMS = Record(
    (
        ("max-tokens", _U32),
        ("repeat-penalty", _F32),
        ("repeat-penalty-last-n-token-count", _U32),
        ("temperature", _F32),
        ("top-k", _U32),
        ("top-p", _F32),
    )
)
_LLM_ERROR = Variant((("model-not-supported", None), ("runtime-error", _STRING), ("invalid-input", _STRING)))
_INFERENCING_RESULT = Record(
    (("text", _STRING), ("usage", Record((("prompt-token-count", _U32), ("generated-token-count", _U32)))))
)
_EMBEDDINGS_RESULT = Record((("embeddings", List(List(_F32))), ("usage", Record((("prompt-token-count", _U32),)))))
_LLM = {
    "infer": Function((_STRING, _STRING, Option(_INFERENCING_PARAMS)), Result(_INFERENCING_RESULT, _LLM_ERROR)),
    "generate-embeddings": Function((_STRING, _STRINGS), Result(_EMBEDDINGS_RESULT, _LLM_ERROR)),
}

IMPORTS: Mapping[str, InstanceType] = {
    f"fermyon:spin/{name}": InstanceType(functions)
    for name, functions in {
        "config": _CONFIG,
        "http": _HTTP,
        "key-value": _KEY_VALUE,
        "llm": _LLM,
        "mysql": _MYSQL,
        "postgres": _POSTGRES,
        "redis": _REDIS,
        "sqlite": _SQLITE,
    }.items()
}
"""What a guest may import."""

INBOUND_HTTP = "fermyon:spin/inbound-http"
INBOUND_REDIS = "fermyon:spin/inbound-redis"
EXPORTS: Mapping[str, InstanceType] = {
    INBOUND_HTTP: InstanceType(_INBOUND_HTTP),
    INBOUND_REDIS: InstanceType(_INBOUND_REDIS),
}
"""What a guest may export, for the triggers."""
