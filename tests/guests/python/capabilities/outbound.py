"""What reaches other machines: HTTP, Redis, PostgreSQL, MySQL, MQTT, and language models. Bodies are JSON."""

import json
from types import ModuleType
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import values
from spin_sdk import http, llm, mqtt, mysql, postgres, redis
from spin_sdk.wit.imports import outgoing_handler, postgres_3, postgres_4, rdbms_types, types
from spin_sdk.wit.imports import redis as redis_types
from spin_sdk.wit.imports.streams import StreamError_Closed
from spin_sdk.wit.types import Err

REDIRECTS_MAX = 5


def send(body: bytes) -> bytes:
    """`[method, url, body]`: the answer's status, headers and body."""
    method, url, content = json.loads(body)
    response = _send(http.Request(method, url, {}, content.encode()))
    return json.dumps([response.status, response.headers, values.to_json(response.body or b"")]).encode()


def follow(body: bytes) -> bytes:
    """`url`: the body behind it, through redirects, which the interface does not follow by itself."""
    url = json.loads(body)
    for _ in range(REDIRECTS_MAX):
        response = _send(http.Request("GET", url, {}, None))
        if "location" not in response.headers:
            return response.body or b""
        url = urljoin(url, response.headers["location"])
    raise RecursionError(url)


def _send(request: http.Request) -> http.Response:
    """As the SDK, which writes a body while it waits: it may find that closed before it learns why."""
    try:
        return http.send(request)
    except Err as error:
        if isinstance(error.value, StreamError_Closed):
            _raise_reason(urlsplit(request.uri))
        raise


def _raise_reason(url: SplitResult) -> None:
    """Ask once more, without a body."""
    request = types.OutgoingRequest(types.Fields())
    request.set_scheme(types.Scheme_Http())
    request.set_authority(url.netloc)
    request.set_path_with_query(url.path)
    future = outgoing_handler.handle(request, None)
    future.subscribe().block()
    answer = future.get().value  # the outer result is for who asks twice
    if isinstance(answer, Err):
        raise answer


def redis_(body: bytes) -> bytes:
    """`[address, [[name, ...], ...]]`: what each call gives. Values are text; `execute` takes variants."""
    address, calls = json.loads(body)
    with redis.open(address) as connection:
        return json.dumps(values.to_json([_redis_call(connection, *call) for call in calls])).encode()


def _redis_call(connection: Any, name: str, subject: Any, *arguments: Any) -> object:
    if name in ("publish", "set"):
        arguments = tuple(argument.encode() for argument in arguments)
    elif name == "execute":
        arguments = ([values.from_json(redis_types, "RedisParameter", argument) for argument in arguments],)
    called: object = getattr(connection, {"del": "del_"}.get(name, name))(subject, *arguments)
    return called


def _database(kinds: ModuleType, connection: Any, calls: list[list[Any]]) -> bytes:
    """`[address, [["query" or "execute", statement, parameter, ...], ...]]`: what each call gives."""
    results = []
    with connection:
        for name, statement, *described in calls:
            parameters = [values.from_json(kinds, "ParameterValue", parameter) for parameter in described]
            if name == "execute":
                results.append(connection.execute(statement, parameters))
            else:
                found = connection.query(statement, parameters)
                results.append([[column.name for column in found.columns], values.to_json(found.rows)])
    return json.dumps(results).encode()


def postgres2(body: bytes) -> bytes:
    address, calls = json.loads(body)
    return _database(rdbms_types, postgres.open(address), calls)


def postgres3(body: bytes) -> bytes:
    address, calls = json.loads(body)
    return _database(postgres_3, postgres_3.Connection.open(address), calls)


def postgres4(body: bytes) -> bytes:
    address, calls = json.loads(body)
    return _database(postgres_4, postgres_4.Connection.open(address), calls)


def mysql_(body: bytes) -> bytes:
    address, calls = json.loads(body)
    return _database(rdbms_types, mysql.open(address), calls)


def mqtt_(body: bytes) -> bytes:
    """`[address, user, password, keep_alive_s, topic, payload, qos]`"""
    *connect, topic, payload, qos = json.loads(body)
    with mqtt.open(*connect) as connection:
        connection.publish(topic, payload.encode(), mqtt.Qos[qos])
    return b"published"


def infer(body: bytes) -> bytes:
    """`[model, prompt]`"""
    result = llm.infer(*json.loads(body))
    usage = [result.usage.prompt_token_count, result.usage.generated_token_count]
    return json.dumps([result.text, usage]).encode()


def embeddings(body: bytes) -> bytes:
    """`[model, texts]`"""
    result = llm.generate_embeddings(*json.loads(body))
    return json.dumps([result.embeddings, result.usage.prompt_token_count]).encode()


ROUTES = {
    "embeddings": embeddings,
    "follow": follow,
    "infer": infer,
    "mqtt": mqtt_,
    "mysql": mysql_,
    "postgres": postgres2,
    "postgres3": postgres3,
    "postgres4": postgres4,
    "redis": redis_,
    "send": send,
}
