from collections.abc import Callable

import pytest

from edged.errors import UsageError
from edged.manifest import App, subset

AppOf = Callable[..., App]

TEXT = """[component.hello]
source = "a"
[component.bye]
source = "b"
[[trigger.http]]
route = "/a"
component = "hello"
[[trigger.http]]
route = "/b"
component = "bye"
[[trigger.http]]
route = "/c"
static_response = {}
"""


def test_only_the_named(app_of: AppOf) -> None:
    app = subset(app_of(TEXT), ["bye"])
    assert list(app.components) == ["bye"]
    assert [trigger.route for trigger in app.http_triggers] == ["/b"]


def test_order_is_that_of_the_manifest(app_of: AppOf) -> None:
    assert list(subset(app_of(TEXT), ["bye", "hello", "bye"]).components) == ["hello", "bye"]


def test_unknown(app_of: AppOf) -> None:
    with pytest.raises(UsageError, match="no component `helo`, did you mean `hello`") as caught:
        subset(app_of(TEXT), ["bye", "helo"])
    assert "hello, bye" in caught.value.remedy
