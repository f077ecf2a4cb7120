"""`edged completion SHELL`: the script with which a shell completes commands, options and names of apps."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SETUP = {
    "bash": 'eval "$(edged completion bash)"            in ~/.bashrc',
    "zsh": 'eval "$(edged completion zsh)"             in ~/.zshrc, after compinit',
    "fish": "edged completion fish | source             in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(_SETUP.values()))
@click.argument("shell", type=click.Choice(list(_SETUP)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion of a shell, which its configuration is to read."""
    kind = get_completion_class(shell)
    assert kind is not None, f"click completes {shell}"
    root = ctx.find_root().command
    click.echo(kind(root, {}, "edged", "_EDGED_COMPLETE").source())
