"""The Python SDK 5 on Spin's Redis trigger: a message is kept in the store "default", and published again where the
variable ANSWER names a server. `fail` is answered with an error, `trap` not at all."""

import os

from componentize_py_types import Err
from spin_sdk import key_value, redis
from spin_sdk.wit import exports
from spin_sdk.wit.imports.spin_redis_redis_3_0_0 import Error_Other


class RedisHandler(exports.RedisHandler):
    async def handle_message(self, message: bytes) -> None:
        if message == b"fail":
            raise Err(Error_Other("failed on purpose"))
        if message == b"trap":
            raise RuntimeError("trapped on purpose")
        with await key_value.open_default() as store:
            await store.set("message", message)
        if "ANSWER" in os.environ:
            with await redis.open(os.environ["ANSWER"]) as connection:
                await connection.publish("answers", message)
