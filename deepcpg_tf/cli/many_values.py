"""Options that take all values up to the next option: ``--profiles A B C``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class ManyValues(TyperCommand):
    """A command whose options for lists take several values at once.

    To the parser, each value goes with an option of its own; so ``--profiles A B`` is
    read as ``--profiles A --profiles B``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the names of such options before they are parsed."""
        lists = {name for param in self.params if param.multiple for name in param.opts}
        repeated: list[str] = []
        option = ""
        for arg in [*args, "--"]:
            if arg.startswith("-") and arg != "-":
                if option and repeated[-1] == option:
                    ctx.fail(f"Option '{option}' expects at least one value")
                option = arg if arg in lists else ""
                repeated.append(arg)
            else:
                repeated += [option, arg] if option and repeated[-1] != option else [arg]
        return super().parse_args(ctx, repeated[:-1])
