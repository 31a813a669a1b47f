"""How mkdocstrings reads the source: what it does not know by itself of examples and of attrs classes."""

from __future__ import annotations

import re
from typing import Final

import griffe

_EXAMPLE: Final = re.compile(r"^>>> .*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)


class Examples(griffe.Extension):
    """Puts a fence around each run of examples in a docstring: Markdown would take `>>>` for quotations."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """A module, class, function or attribute was read."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)


class Attrs(griffe.Extension):
    """Gives classes of attrs the `__init__` that attrs makes, so that their fields are shown as its parameters."""

    def on_class_members(self, *, cls: griffe.Class, **_: object) -> None:
        """A class was read."""
        made = [str(decorator.value) for decorator in cls.decorators if str(decorator.value).startswith("attrs.frozen")]
        if made and "__init__" not in cls.members:
            keywords = "kw_only=True" in made[0]
            parameters = [parameter for field in cls.attributes.values() for parameter in _parameter(field, keywords=keywords)]
            cls.set_member("__init__", griffe.Function("__init__", parameters=griffe.Parameters(*parameters)))


def _parameter(field: griffe.Attribute, *, keywords: bool) -> list[griffe.Parameter]:
    """The parameter of a field, if it has one."""
    options: dict[str, str | griffe.Expr] = {}
    if isinstance(field.value, griffe.ExprCall):
        options = {option.name: option.value for option in field.value.arguments if isinstance(option, griffe.ExprKeyword)}
    if field.annotation is None or "property" in field.labels or str(options.get("init")) == "False":
        return []
    default = options.get("default") if isinstance(field.value, griffe.ExprCall) else field.value
    if "factory" in options:
        default = f"{options['factory']}()"
    kind = griffe.ParameterKind.keyword_only if keywords or "kw_only" in options else griffe.ParameterKind.positional_or_keyword
    return [griffe.Parameter(field.name.lstrip("_"), annotation=field.annotation, kind=kind, default=default)]
