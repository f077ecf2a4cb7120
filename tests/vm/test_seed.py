from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm.seed import voucher_in, write_seed


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "user-data").write_text("#cloud-config\n")
    with pytest.raises(RuntimeError, match=r"no seed without .*meta-data, .*network-config"):
        write_seed(tmp_path, tmp_path / "disk")
    assert not (tmp_path / "disk").exists()


def test_the_voucher_in_user_data() -> None:
    text = "#cloud-config\nwrite_files:\n- path: /etc/edged/node.toml\n  content: a\n"
    assert voucher_in(text) == ""
    assert voucher_in(text + "- path: /etc/edged/voucher\n  content: |\n    abc-_9\n") == "abc-_9"
