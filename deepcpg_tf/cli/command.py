"""What all commands have in common: errors name options, where verbs name arguments."""

from __future__ import annotations

import re
import warnings
from typing import Any

from typer.core import TyperCommand

from deepcpg_tf.errors import DeepCpgError


class Command(TyperCommand):
    """A command whose errors and warnings call an argument by the option that gave it."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        shown = warnings.showwarning

        def show(message: Warning | str, *where: Any, **how: Any) -> None:
            shown(self._in_options(str(message)), *where, **how)

        warnings.showwarning = show
        try:
            return super().invoke(ctx)
        except DeepCpgError as error:
            raise type(error)(self._in_options(str(error))) from error
        finally:
            warnings.showwarning = shown

    def _in_options(self, message: str) -> str:
        """Return a message with options where it has arguments."""
        options = {
            param.name: max(param.opts, key=len)
            for param in self.params
            if param.param_type_name == "option"
        }
        off = {
            param.name: param.secondary_opts[0]
            for param in self.params
            if param.param_type_name == "option" and param.secondary_opts
        }
        message = re.sub(r"`(\w+)=False`", lambda quoted: off.get(quoted[1], quoted[0]), message)
        # An error begins with the argument that it is about, and quotes others.
        message = re.sub(r"`(\w+)`", lambda quoted: options.get(quoted[1], quoted[0]), message)
        names, colon, rest = message.partition(":")
        named = names.split(", ")
        if not colon or not all(name in options for name in named):
            return message
        return f"{', '.join(options[name] for name in named)}:{rest}"


class ManyValues(Command):
    """A command whose options for lists take several values at once: ``--profiles A B C``.

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
