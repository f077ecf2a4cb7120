"""The Python SDK on Spin's Redis trigger: a message is kept in the store "default", and published again where the
variable ANSWER names a server. `fail` is answered with an error, `trap` not at all."""

import os

from spin_sdk import key_value, redis
from spin_sdk.wit import exports
from spin_sdk.wit.imports.redis_types import Error
from spin_sdk.wit.types import Err


class InboundRedis(exports.InboundRedis):
    def handle_message(self, message: bytes) -> None:
        if message == b"fail":
            raise Err(Error.ERROR)
        if message == b"trap":
            raise RuntimeError("trapped on purpose")
        with key_value.open_default() as store:
            store.set("message", message)
        if "ANSWER" in os.environ:
            with redis.open(os.environ["ANSWER"]) as connection:
                connection.publish("answers", message)
