import pytest

from edged.manifest.names import environment_problem, kebab_from, kebab_problem, label_problem, variable_problem


@pytest.mark.parametrize("text", ["a", "hello", "hello-world", "a1-2b", "HTTP-server", "a:b", "X1"])
def test_kebab(text: str) -> None:
    assert kebab_problem(text) is None
    assert kebab_from(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "a--b", "1a", "a_b", "Hello", "a b", "ä", "a\n", ":a", "a.b"])
def test_not_kebab(text: str) -> None:
    assert kebab_problem(text) is not None


@pytest.mark.parametrize(("text", "hint"), [("my_comp", "`my-comp` would be"), ("MyComp", "`mycomp` would be")])
def test_kebab_hint(text: str, hint: str) -> None:
    assert (kebab_problem(text) or "").endswith(hint)


def test_no_hint_where_none_would_do() -> None:
    assert "would be" not in (kebab_problem("1 a") or "")


@pytest.mark.parametrize("text", ["a", "abc", "a1b2", "a_1", "a_1_b_3"])
def test_variable(text: str) -> None:
    assert variable_problem(text) is None


@pytest.mark.parametrize("text", ["", "aX", "1bc", "_x", "x.y", "x_", "a__b", "x-y", "a:b", "a\n"])
def test_not_variable(text: str) -> None:
    assert variable_problem(text) is not None


@pytest.mark.parametrize("text", ["default", "my-store", "my_store", "MY_STORE"])
def test_label(text: str) -> None:
    assert label_problem(text) is None


@pytest.mark.parametrize("text", ["", "my-store_2", "a b", "1", "My_store"])
def test_not_label(text: str) -> None:
    assert label_problem(text) is not None


def test_environment() -> None:
    assert environment_problem("PATH.to-x") is None
    for text in ("", "a=b", "a\0"):
        assert environment_problem(text) is not None
