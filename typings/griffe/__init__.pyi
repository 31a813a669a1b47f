# What reading the source for the documentation uses of it.
from collections.abc import Mapping, Sequence
from enum import Enum

class Expr: ...

class ExprKeyword(Expr):
    name: str
    value: str | Expr

class ExprCall(Expr):
    arguments: Sequence[str | Expr]

class Docstring:
    value: str

class Decorator:
    value: str | Expr

class Object:
    name: str
    docstring: Docstring | None
    labels: set[str]

class Attribute(Object):
    annotation: str | Expr | None
    value: str | Expr | None

class ParameterKind(Enum):
    positional_or_keyword = ...
    keyword_only = ...

class Parameter:
    def __init__(
        self, name: str, *, annotation: str | Expr | None = ..., kind: ParameterKind | None = ..., default: str | Expr | None = ...
    ) -> None: ...

class Parameters:
    def __init__(self, *parameters: Parameter) -> None: ...

class Function(Object):
    def __init__(self, name: str, *, parameters: Parameters | None = ...) -> None: ...

class Class(Object):
    decorators: list[Decorator]
    members: Mapping[str, Object]
    attributes: Mapping[str, Attribute]
    def set_member(self, key: str, value: Object) -> None: ...

class Extension: ...
