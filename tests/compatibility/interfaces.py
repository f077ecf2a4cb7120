"""Which tests show an interface: one that it does its work, one that it says no."""

from __future__ import annotations

from typing import NamedTuple


class Shown(NamedTuple):
    """The tests of an interface, as pytest names them. WASI's own may have a sentence why there is none.

    Attributes:
        granted: it does what its definition says.
        refused: it says no with an error of its own: what the manifest does not give, or what is over a limit.
    """

    granted: str
    refused: str


HARMLESS = "nothing to refuse: it reaches nothing"
NO_TERMINAL = "tests/host/test_cli.py::test_there_are_no_terminals"
NO_SOCKETS = Shown("none: always refused", "tests/host/test_sockets.py::test_every_method_refuses")
NO_SOCKET = Shown("none: always refused", "tests/host/test_sockets.py::test_no_socket_is_created")
WASI3 = "tests/host/wasi3"
STORES = "tests/end_to_end/test_stores.py"
CAPABILITIES = "tests/end_to_end/test_capabilities.py"
WASI_STORES = "tests/end_to_end/test_wasi_stores.py"

NOT_ASKED = "no server was asked this way: its client is that of version 2"
SAME_CLASS = "nobody was asked this way: its class is that of version 2"
RECORD = "tests/triggers/test_record.py"

SHOWN = {
    "fermyon:spin/config": Shown(f"{RECORD}::test_config", f"{RECORD}::test_config"),
    "fermyon:spin/http": Shown(f"{RECORD}::test_a_request_leaves", f"{RECORD}::test_a_request_that_may_not_leave"),
    "fermyon:spin/key-value": Shown(f"{RECORD}::test_key_value", f"{RECORD}::test_a_store_that_it_may_not_open"),
    "fermyon:spin/llm": Shown(SAME_CLASS, SAME_CLASS),
    "fermyon:spin/mysql": Shown(NOT_ASKED, f"{RECORD}::test_a_database_server_that_is_not_allowed"),
    "fermyon:spin/postgres": Shown(NOT_ASKED, f"{RECORD}::test_a_database_server_that_is_not_allowed"),
    "fermyon:spin/redis": Shown(f"{RECORD}::test_redis", f"{RECORD}::test_redis_that_is_not_allowed"),
    "fermyon:spin/sqlite": Shown(f"{RECORD}::test_sqlite", f"{RECORD}::test_a_database_that_it_may_not_open"),
    "fermyon:spin/key-value@2.0.0": Shown(
        f"{STORES}::test_a_value_is_kept_and_listed_and_deleted",
        f"{STORES}::test_a_store_that_the_manifest_does_not_give",
    ),
    "fermyon:spin/llm@2.0.0": Shown(f"{CAPABILITIES}::test_llm", f"{CAPABILITIES}::test_llm_refused"),
    "fermyon:spin/mqtt@2.0.0": Shown(f"{CAPABILITIES}::test_mqtt", f"{CAPABILITIES}::test_mqtt_refused"),
    "fermyon:spin/mysql@2.0.0": Shown(f"{CAPABILITIES}::test_mysql", f"{CAPABILITIES}::test_mysql_refused"),
    "fermyon:spin/postgres@2.0.0": Shown(f"{CAPABILITIES}::test_postgres", f"{CAPABILITIES}::test_postgres_refused"),
    "fermyon:spin/redis@2.0.0": Shown(f"{CAPABILITIES}::test_redis", f"{CAPABILITIES}::test_redis_refused"),
    "fermyon:spin/sqlite@2.0.0": Shown(
        f"{STORES}::test_statements", f"{STORES}::test_a_database_that_the_manifest_does_not_give"
    ),
    "fermyon:spin/variables@2.0.0": Shown(
        f"{STORES}::test_variables", f"{STORES}::test_a_variable_of_the_application_is_not_the_components"
    ),
    "spin:postgres/postgres@3.0.0": Shown(f"{CAPABILITIES}::test_postgres", f"{CAPABILITIES}::test_postgres_refused"),
    "spin:postgres/postgres@4.0.0": Shown(f"{CAPABILITIES}::test_postgres", f"{CAPABILITIES}::test_postgres_refused"),
    "spin:sqlite/sqlite@3.0.0": Shown(
        f"{WASI_STORES}::test_statements_say_what_they_changed",
        f"{WASI_STORES}::test_a_database_that_the_manifest_does_not_give",
    ),
    "spin:key-value/key-value@3.0.0": Shown(
        "tests/host/key_value/test_interfaces.py::test_all_keys_as_a_stream",
        "tests/host/key_value/test_interfaces.py::test_a_label_that_is_not_granted",
    ),
    "spin:mqtt/mqtt@3.0.0": Shown(
        "tests/host/mqtt/test_interfaces.py::test_granted",
        "tests/host/mqtt/test_interfaces.py::test_denied_by_the_manifest",
    ),
    "spin:mysql/mysql@3.0.0": Shown(
        "tests/host/mysql/test_streams.py::test_as_many_rows_as_there_are",
        "tests/host/mysql/test_streams.py::test_granted_and_denied",
    ),
    "spin:postgres/postgres@4.1.0": Shown(
        "tests/host/postgres/test_streams.py::test_a_builder_with_an_authority_of_the_guests",
        "tests/host/postgres/test_streams.py::test_what_a_builder_may_not",
    ),
    "spin:postgres/postgres@4.2.0": Shown(
        "tests/host/postgres/test_streams.py::test_as_many_rows_as_there_are",
        "tests/host/postgres/test_streams.py::test_granted_and_denied",
    ),
    "spin:redis/redis@3.0.0": Shown(
        "tests/host/redis/test_interfaces.py::test_commands_at_once_go_one_after_the_other",
        "tests/host/redis/test_interfaces.py::test_granted_and_denied",
    ),
    "spin:sqlite/sqlite@3.1.0": Shown(
        "tests/host/sqlite/test_streams.py::test_as_many_rows_as_there_are",
        "tests/host/sqlite/test_streams.py::test_granted_and_denied",
    ),
    "spin:variables/variables@3.0.0": Shown(
        "tests/host/test_variables.py::test_all_give_the_value",
        "tests/host/test_variables.py::test_a_component_sees_only_its_own",
    ),
    "wasi:config/store@0.2.0-draft-2024-09-27": Shown(
        f"{WASI_STORES}::test_configuration", "tests/host/test_variables.py::test_a_component_sees_only_its_own"
    ),
    "wasi:keyvalue/atomics@0.2.0-draft2": Shown(
        f"{WASI_STORES}::test_a_value_is_swapped_if_nobody_else_changed_it",
        f"{WASI_STORES}::test_what_is_no_number_is_not_increased",
    ),
    "wasi:keyvalue/batch@0.2.0-draft2": Shown(
        f"{WASI_STORES}::test_many_at_once", f"{WASI_STORES}::test_more_keys_than_one_call_takes"
    ),
    "wasi:keyvalue/store@0.2.0-draft2": Shown(
        f"{WASI_STORES}::test_a_bucket_keeps_lists_and_deletes",
        f"{WASI_STORES}::test_a_bucket_that_the_manifest_does_not_give",
    ),
    "wasi:cli/environment@0.2": Shown(
        "tests/end_to_end/test_sdk_guests.py::test_what_an_app_does",
        "tests/host/test_cli.py::test_the_environment_is_what_the_manifest_says_and_nothing_else",
    ),
    "wasi:cli/exit@0.2": Shown("tests/host/test_cli.py::test_exit_ends_the_request", HARMLESS),
    "wasi:cli/stderr@0.2": Shown(
        "tests/host/test_cli.py::test_output_goes_to_the_invocation",
        "tests/host/test_guest_log.py::test_a_request_has_its_budget_and_not_one_byte_more",
    ),
    "wasi:cli/stdin@0.2": Shown("tests/host/test_cli.py::test_stdin_is_at_its_end", "nothing to refuse: it is empty"),
    "wasi:cli/stdout@0.2": Shown(
        "tests/host/test_cli.py::test_output_goes_to_the_invocation",
        "tests/host/test_guest_log.py::test_stdout_and_stderr_share_the_budget_and_it_is_said_once",
    ),
    "wasi:cli/terminal-input@0.2": Shown("none: there is no terminal", NO_TERMINAL),
    "wasi:cli/terminal-output@0.2": Shown("none: there is no terminal", NO_TERMINAL),
    "wasi:cli/terminal-stderr@0.2": Shown("none: there is no terminal", NO_TERMINAL),
    "wasi:cli/terminal-stdin@0.2": Shown("none: there is no terminal", NO_TERMINAL),
    "wasi:cli/terminal-stdout@0.2": Shown("none: there is no terminal", NO_TERMINAL),
    "wasi:clocks/monotonic-clock@0.2": Shown(
        "tests/host/test_clocks.py::test_a_duration_ends_when_it_is_over", HARMLESS
    ),
    "wasi:clocks/timezone@0.2": Shown("tests/host/test_clocks.py::test_the_time_zone_is_utc", HARMLESS),
    "wasi:clocks/wall-clock@0.2": Shown("tests/host/test_clocks.py::test_wall_time_is_the_systems", HARMLESS),
    "wasi:filesystem/preopens@0.2": Shown(
        "tests/end_to_end/test_sdk_guests.py::test_what_an_app_does",
        "tests/host/test_registry.py::test_a_component_without_files_has_no_directory",
    ),
    "wasi:filesystem/types@0.2": Shown(
        "tests/host/files/test_filesystem.py::test_files_and_directories_open",
        "tests/end_to_end/test_sdk_guests.py::test_files_are_read_only",
    ),
    "wasi:http/outgoing-handler@0.2": Shown(f"{CAPABILITIES}::test_http", f"{CAPABILITIES}::test_http_refused"),
    "wasi:http/types@0.2": Shown(
        "tests/end_to_end/test_sdk_guests.py::test_a_body_comes_back",
        "tests/host/http/test_fields.py::test_fields_may_be_so_large_and_not_one_byte_larger",
    ),
    "wasi:io/error@0.2": Shown("tests/host/test_streams.py::test_an_error_tells_what_happened", HARMLESS),
    "wasi:io/poll@0.2": Shown(
        "tests/host/test_poll.py::test_poll_waits_for_the_first_and_stops_waiting_for_the_others", HARMLESS
    ),
    "wasi:io/streams@0.2": Shown(
        "tests/end_to_end/test_streaming.py::test_64_mib_pass_through_with_flat_memory",
        "tests/host/test_streams.py::test_write_takes_the_permit_and_traps_one_byte_over",
    ),
    "wasi:random/insecure@0.2": Shown(
        "tests/host/test_random.py::test_bytes_are_as_many_as_asked_and_never_the_same",
        "tests/host/test_random.py::test_one_request_gets_its_budget_and_not_one_byte_more",
    ),
    "wasi:random/insecure-seed@0.2": Shown(
        "tests/host/test_random.py::test_the_seed_is_two_numbers",
        "tests/host/test_random.py::test_a_seed_costs_sixteen_bytes",
    ),
    "wasi:random/random@0.2": Shown(
        "tests/host/test_random.py::test_bytes_are_as_many_as_asked_and_never_the_same",
        "tests/host/test_random.py::test_one_request_gets_its_budget_and_not_one_byte_more",
    ),
    "wasi:sockets/instance-network@0.2": Shown(
        "none: always refused", "tests/host/test_sockets.py::test_a_network_is_there_and_permits_nothing"
    ),
    "wasi:sockets/ip-name-lookup@0.2": NO_SOCKETS,
    "wasi:sockets/network@0.2": Shown(
        "none: always refused", "tests/host/test_sockets.py::test_no_stream_error_is_a_sockets"
    ),
    "wasi:sockets/tcp@0.2": NO_SOCKETS,
    "wasi:sockets/tcp-create-socket@0.2": NO_SOCKET,
    "wasi:sockets/udp@0.2": NO_SOCKETS,
    "wasi:sockets/udp-create-socket@0.2": NO_SOCKET,
    "wasi:cli/environment@0.3": Shown(
        f"{WASI3}/test_cli.py::test_the_environment_is_the_components",
        "tests/host/test_cli.py::test_the_environment_is_what_the_manifest_says_and_nothing_else",
    ),
    "wasi:cli/exit@0.3": Shown(f"{WASI3}/test_cli.py::test_exit_ends_the_request", HARMLESS),
    "wasi:cli/stderr@0.3": Shown(
        f"{WASI3}/test_cli.py::test_output_reaches_the_log_as_it_comes",
        "tests/host/test_guest_log.py::test_a_request_has_its_budget_and_not_one_byte_more",
    ),
    "wasi:cli/stdin@0.3": Shown(f"{WASI3}/test_cli.py::test_stdin_is_at_its_end", "nothing to refuse: it is empty"),
    "wasi:cli/stdout@0.3": Shown(
        f"{WASI3}/test_cli.py::test_output_reaches_the_log_as_it_comes",
        "tests/host/test_guest_log.py::test_stdout_and_stderr_share_the_budget_and_it_is_said_once",
    ),
    "wasi:cli/terminal-input@0.3": Shown(
        "none: there is no terminal", f"{WASI3}/test_cli.py::test_there_are_no_terminals"
    ),
    "wasi:cli/terminal-output@0.3": Shown(
        "none: there is no terminal", f"{WASI3}/test_cli.py::test_there_are_no_terminals"
    ),
    "wasi:cli/terminal-stderr@0.3": Shown(
        "none: there is no terminal", f"{WASI3}/test_cli.py::test_there_are_no_terminals"
    ),
    "wasi:cli/terminal-stdin@0.3": Shown(
        "none: there is no terminal", f"{WASI3}/test_cli.py::test_there_are_no_terminals"
    ),
    "wasi:cli/terminal-stdout@0.3": Shown(
        "none: there is no terminal", f"{WASI3}/test_cli.py::test_there_are_no_terminals"
    ),
    "wasi:clocks/monotonic-clock@0.3": Shown(f"{WASI3}/test_clocks.py::test_waiting_takes_as_long_as_asked", HARMLESS),
    "wasi:clocks/system-clock@0.3": Shown(
        f"{WASI3}/test_clocks.py::test_the_system_clock_is_the_time_of_day", HARMLESS
    ),
    "wasi:clocks/timezone@0.3": Shown(f"{WASI3}/test_clocks.py::test_the_timezone_is_utc", HARMLESS),
    "wasi:filesystem/preopens@0.3": Shown(
        f"{WASI3}/test_filesystem.py::test_a_file_is_a_stream",
        "tests/host/test_registry.py::test_a_component_without_files_has_no_directory",
    ),
    "wasi:filesystem/types@0.3": Shown(
        f"{WASI3}/test_filesystem.py::test_a_file_is_a_stream", f"{WASI3}/test_filesystem.py::test_nothing_is_written"
    ),
    "wasi:http/client@0.3": Shown(
        f"{WASI3}/http/test_client.py::test_what_the_manifest_allows_is_sent_and_nothing_else",
        f"{WASI3}/http/test_client.py::test_a_component_without_a_way_out_is_refused_everything",
    ),
    "wasi:http/handler@0.3": Shown(
        f"{WASI3}/http/test_client.py::test_handle_is_send",
        f"{WASI3}/http/test_client.py::test_a_component_without_a_way_out_is_refused_everything",
    ),
    "wasi:http/types@0.3": Shown(
        f"{WASI3}/http/test_call.py::test_a_request_is_echoed_while_it_comes",
        f"{WASI3}/http/test_fields.py::test_the_guest_is_told_of_fields_that_are_too_large",
    ),
    "wasi:random/insecure@0.3": Shown(
        f"{WASI3}/test_random.py::test_bytes_differ", f"{WASI3}/test_random.py::test_a_request_has_a_budget"
    ),
    "wasi:random/insecure-seed@0.3": Shown(
        f"{WASI3}/test_random.py::test_numbers_and_the_seed", f"{WASI3}/test_random.py::test_a_request_has_a_budget"
    ),
    "wasi:random/random@0.3": Shown(
        f"{WASI3}/test_random.py::test_bytes_differ", f"{WASI3}/test_random.py::test_a_request_has_a_budget"
    ),
    "wasi:sockets/ip-name-lookup@0.3": Shown(
        "none: always refused", f"{WASI3}/test_sockets.py::test_no_socket_can_be_created_and_no_name_looked_up"
    ),
    "wasi:sockets/types@0.3": Shown(
        "none: always refused", f"{WASI3}/test_sockets.py::test_a_method_refuses_with_an_error_or_a_trap"
    ),
}
"""Interface and version -> its tests. Who adds an interface to the registry adds a row here."""
