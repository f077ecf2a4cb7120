"""What is rendered for the machines of `inventories`, kept in golden/: `python -m tests.provisioning.golden` writes it
anew. A change of it is read before it is committed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from provisioning.inventory import read
from provisioning.render import render
from provisioning.terraform import main_tf_json
from tests.provisioning.inventories import SSH_KEY, TEXT, voucher_of

FOLDER = Path(__file__).with_name("golden")
INVENTORY = read(TEXT, "fleet.toml")


def rendered() -> dict[str, str]:
    """Path below the folder -> content."""
    found = {}
    for machine in INVENTORY.machines:
        seed = render(machine, voucher_of(machine), [SSH_KEY])
        found[f"{machine.name}/user-data"] = seed.user_data
        found[f"{machine.name}/meta-data"] = seed.meta_data
        if seed.network_config is not None:
            found[f"{machine.name}/network-config"] = seed.network_config
        if machine.terraform:
            found[f"{machine.name}/main.tf.json"] = main_tf_json([machine])
    return found


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for path, content in rendered().items():
        file = FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


if __name__ == "__main__":
    main()
