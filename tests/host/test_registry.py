"""The sets of interfaces, held against the lists of WASI's functions in wasi-0.2.txt and wasi-0.3.txt."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from edged.errors import ManifestError
from edged.host.interface import Interface, Resource
from edged.host.registry import REFUSED, HostConfig, spin_interfaces, wasi3_interfaces, wasi_interfaces
from tests.host.fakes import invocation

PROVIDED = {interface.wit: interface for interface in wasi_interfaces(HostConfig())}
TRACKS = {"0.2": PROVIDED, "0.3": {interface.wit: interface for interface in wasi3_interfaces(HostConfig())}}
COUNTS = {"0.2": (179, 25), "0.3": (129, 9)}
"""Functions and resources of each."""

WITHOUT_FUNCTIONS = {"wasi:cli/terminal-input", "wasi:cli/terminal-output"}


def functions(track: str) -> list[tuple[str, str, int]]:
    """Interface, function and how many arguments it takes, of every function in a list."""
    found = []
    interface = ""
    for line in Path(__file__).with_name(f"wasi-{track}.txt").read_text().splitlines():
        if not line.startswith(" "):
            interface = line
            continue
        name, _, arguments = line.strip().removesuffix(")").partition("(")
        found.append((interface, name, len(arguments.split(", ")) if arguments else 0))
    return found


def find(interface: Interface, name: str) -> tuple[object, str, int]:
    """Where a WIT function is looked for, by the table in edged.host.interface, and what it takes besides its own."""
    match = re.fullmatch(r"\[(constructor|static|method)\]([^.]+)\.?(.*)", name)
    if match is None:
        return type(interface), name, 2
    kind, resource, method = match.groups()
    if kind == "method":
        return interface.resources[resource], method, 1
    return type(interface), f"{resource}-{method or 'constructor'}", 2


@pytest.mark.parametrize("track", TRACKS)
def test_the_list_is_whole(track) -> None:
    assert len(functions(track)) == COUNTS[track][0]
    assert {interface for interface, _, _ in functions(track)} == TRACKS[track].keys() - WITHOUT_FUNCTIONS


@pytest.mark.parametrize(
    ("track", "interface", "name", "count"), [(track, *function) for track in TRACKS for function in functions(track)]
)
def test_every_function_is_provided_with_its_arguments(track, interface, name, count) -> None:
    owner, attribute, own = find(TRACKS[track][interface], name)
    function = inspect.getattr_static(owner, attribute.replace("-", "_"))
    inspect.signature(function).bind(*range(own + count))
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(function).parameters.values())
    if not takes_any:
        with pytest.raises(TypeError):
            inspect.signature(function).bind(*range(own + count + 1))


@pytest.mark.parametrize("track", TRACKS)
def test_every_resource_has_one_class(track) -> None:
    owners = [
        (interface.wit, name, resource)
        for interface in TRACKS[track].values()
        for name, resource in interface.resources.items()
    ]
    assert len({resource for _, _, resource in owners}) == len(owners) == COUNTS[track][1]
    assert all(issubclass(resource, Resource) for _, _, resource in owners)


@pytest.mark.parametrize("track", TRACKS)
def test_resources_have_no_dict(track) -> None:
    """A request makes dozens of them."""
    for interface in TRACKS[track].values():
        for resource in interface.resources.values():
            if not resource.__module__.endswith((".cli", ".sockets")):
                assert "__slots__" in vars(resource), resource


def test_each_version_has_its_own_interfaces() -> None:
    assert {interface.versions for interface in PROVIDED.values()} == {("0.2",)}
    assert {interface.versions for interface in TRACKS["0.3"].values()} == {("0.3", "0.3.0-rc-2026-03-15")}


def test_what_is_refused_is_not_provided() -> None:
    assert not [wit for wit in PROVIDED for prefix in REFUSED if wit.startswith(prefix)]
    # Of Spin's packages some are provided, so that these names are refused only where no interface has them.
    spin = [interface.wit for interface in spin_interfaces(HostConfig())]
    assert not [wit for wit in spin if wit in REFUSED]
    assert "fermyon:spin/redis@2.0.0".startswith(tuple(REFUSED))
    assert "wasi:keyvalue/watcher@0.2.0-draft2".startswith(tuple(REFUSED))
    assert "spin:postgres/postgres@4.0.0".startswith(tuple(REFUSED))
    assert not "acme:thing/x".startswith(tuple(REFUSED))
    assert all(REFUSED.values())


def test_the_config_reaches_its_interfaces(tmp_path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"")
    config = HostConfig(environment={"A": "1"}, arguments=("app", "-v"), initial_cwd="/x", files={"/a": file})
    provided = {interface.wit: interface for interface in wasi_interfaces(config)}
    environment = provided["wasi:cli/environment"]
    assert list(environment.get_environment(invocation())) == [("A", "1")]
    assert list(environment.get_arguments(invocation())) == ["app", "-v"]
    assert environment.initial_cwd(invocation()) == "/x"
    ((root, path),) = provided["wasi:filesystem/preopens"].get_directories(invocation())
    assert path == "/"
    assert root.read_directory().read_directory_entry() == ("regular-file", "a")
    provided = {interface.wit: interface for interface in wasi3_interfaces(config)}
    environment = provided["wasi:cli/environment"]
    assert list(environment.get_environment(invocation())) == [("A", "1")]
    assert list(environment.get_arguments(invocation())) == ["app", "-v"]
    assert environment.get_initial_cwd(invocation()) == "/x"
    ((root, path),) = provided["wasi:filesystem/preopens"].get_directories(invocation())
    assert path == "/"
    entries, _ = root.read_directory()
    assert entries.read(10) == [("regular-file", "a")]


def test_values_of_variables_are_not_shown() -> None:
    assert "geheim" not in repr(HostConfig(variables={"token": "geheim"}))


def test_a_component_without_files_has_no_directory() -> None:
    for track in TRACKS.values():
        assert not track["wasi:filesystem/preopens"].get_directories(invocation())


def test_files_that_form_no_tree_are_refused(tmp_path) -> None:
    with pytest.raises(ManifestError):
        wasi_interfaces(HostConfig(files={"/a": tmp_path, "/a/b": tmp_path}))
    with pytest.raises(ManifestError):
        wasi3_interfaces(HostConfig(files={"/a": tmp_path, "/a/b": tmp_path}))
