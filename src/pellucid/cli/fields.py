"""The fields of a dataclass as its source tells them, so that help needs not import torch to say what can be chosen."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path

__all__ = ["Class", "Field", "find_class", "flags"]

SCALARS = {"int": "N", "float": "NUMBER", "str": "TEXT", "bool": "true|false", "Path": "PATH", "dict": "{NAME: VALUE}"}


@dataclass(frozen=True)
class Field:
    """A field of a dataclass.

    Attributes:
        name: of the field, with those of the fields it lies in before it: ``method.attack.eps``.
        type: as a person writes a value: ``N``, ``one|of|these``, ``TEXT,...``.
        default: as a person would write it; empty where there is none.
        help: its meaning, from the class's docstring.
    """

    name: str
    type: str
    default: str
    help: str


@dataclass(frozen=True)
class Class:
    """A class as its module's source defines it.

    Attributes:
        module: where its source is.
        node: the statement that defines it.
    """

    module: str
    node: ast.ClassDef

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.node.name

    @property
    def summary(self) -> str:
        """First sentence of its docstring, without formulas."""
        paragraph = (ast.get_docstring(self.node) or "").partition("\n\n")[0]
        return _prose(paragraph.partition(":math:")[0]).rstrip(" :,.")

    @property
    def is_dataclass(self) -> bool:
        """Whether it is decorated as one."""
        return any("dataclass" in ast.unparse(decorator) for decorator in self.node.decorator_list)

    def meanings(self) -> dict[str, str]:
        """What its docstring, and those of the classes it derives from, say of each field."""
        meanings: dict[str, str] = {}
        for base in self.node.bases:
            inherited = _class(self.module, ast.unparse(base))
            meanings |= inherited.meanings() if inherited is not None else {}
        section = re.search(
            r"^(?:Args|Attributes):\n((?: {4}.*\n|\n)*)", (ast.get_docstring(self.node) or "") + "\n", re.MULTILINE
        )
        entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE)
        return meanings | {name: _prose(text) for name, text in entries}

    def own_fields(self) -> Iterator[ast.AnnAssign]:
        """The statements of its fields, those of the classes it derives from first; one for each name, its own."""
        own = [
            statement
            for statement in self.node.body
            if isinstance(statement, ast.AnnAssign) and not ast.unparse(statement.annotation).startswith("ClassVar")
        ]
        named = [statement for statement in own if isinstance(statement.target, ast.Name)]
        names = {ast.unparse(statement.target) for statement in named}
        for base in self.node.bases:
            inherited = _class(self.module, ast.unparse(base))
            if inherited is not None:
                yield from (field for field in inherited.own_fields() if ast.unparse(field.target) not in names)
        yield from named

    @property
    def is_abstract(self) -> bool:
        """Whether it leaves a method to the classes that derive from it."""
        functions = [statement for statement in self.node.body if isinstance(statement, ast.FunctionDef)]
        return any("abstractmethod" in map(ast.unparse, function.decorator_list) for function in functions)

    def declared(self, name: str) -> "Class | None":
        """The class whose values a field takes, if it takes any."""
        named = (field for field in self.own_fields() if ast.unparse(field.target) == name)
        return next((_accepted(self.module, field.annotation)[0] for field in named), None)

    def subclasses(self) -> dict[str, "Class"]:
        """Public classes of the same package, or module, that derive from it and can be made, file by file."""
        package = self.module.rpartition(".")[0]
        beside = package != "pellucid" and package.startswith("pellucid.")
        files = sorted(_file(self.module).parent.rglob("*.py")) if beside else [_file(self.module)]
        classes: list[Class] = []
        for file in files:
            module = f"{package}.{'.'.join(file.relative_to(_file(self.module).parent).with_suffix('').parts)}"
            module = module if beside else self.module
            classes += [Class(module, node) for node in _tree(module).body if isinstance(node, ast.ClassDef)]
        derived, known = {self.name}, 0
        while len(derived) > known:  # a class may derive from one that stands further down
            known = len(derived)
            derived |= {kind.name for kind in classes if derived & set(map(ast.unparse, kind.node.bases))}
        public = [kind for kind in classes if not kind.name.startswith("_") and not kind.is_abstract]
        return {kind.name: kind for kind in public if kind.name in derived - {self.name}}


def find_class(path: str) -> Class:
    """The class at an import path, found without importing its module.

    >>> find_class("pellucid.Experiment").module
    'pellucid.runs.settings'
    """
    module, _, name = path.replace(":", ".").rpartition(".")
    defined = _class(module, name)
    if defined is None:
        raise LookupError(f"no class {name} in {module}")
    return defined


def flags(kind: Class, prefix: str = "", given: ast.expr | None = None) -> dict[str, list[Field]]:
    """The fields of a class by the headings of help, one for itself and one for each dataclass within.

    Args:
        kind: the class.
        prefix: name of the field it stands at, with a dot behind; empty for the whole.
        given: the expression of its default at that place, whose arguments are the defaults of its fields.
    """
    heading = f"{prefix.rstrip('.')}: {kind.summary}" if prefix else kind.summary
    groups: dict[str, list[Field]] = {heading: []}
    meanings = kind.meanings()
    keywords = {word.arg: word.value for word in given.keywords} if isinstance(given, ast.Call) else {}
    for statement in kind.own_fields():
        name, meaning = ast.unparse(statement.target), meanings.get(ast.unparse(statement.target), "")
        default = keywords.get(name, statement.value)
        inner, words = _accepted(kind.module, statement.annotation)
        if inner is not None and inner.is_dataclass:
            groups |= flags(inner, f"{prefix}{name}.", default)
            continue
        if inner is not None:
            known = ", ".join(inner.subclasses())
            meaning = f"{meaning.rstrip('.')}; pellucid has {known}. {_how_to_see(inner, prefix + name)}"
            words = "NAME"
        groups[heading].append(Field(f"{prefix}{name}", words, _written(kind.module, default), meaning.rstrip(".")))
    return {heading: fields for heading, fields in groups.items() if fields}


def _how_to_see(declared: Class, place: str) -> str:
    """How the options of a class are shown that can be chosen at a place, and one of these options."""
    place = place.replace("_", "-")
    options = ((name, _first_option(kind, place)) for name, kind in declared.subclasses().items())
    name, option = next((found for found in options if found[1]), ("", ""))
    such = f", such as --{option} of {name}" if option else ""
    return f"--{place} NAME --help shows what can be set of NAME{such}"


def _first_option(kind: Class, place: str) -> str:
    """Name of the first field of a class that stands at a place; empty where it has none."""
    for statement in kind.own_fields():
        inner, _ = _accepted(kind.module, statement.annotation)
        name = f"{place}.{ast.unparse(statement.target)}".replace("_", "-")
        return _first_option(inner, name) if inner is not None and inner.is_dataclass else name
    return ""


def _prose(text: str) -> str:
    """A docstring's text without markup, in the words of the command line, where None is what is not given.

    >>> _prose("side in ``pixels``. None: as stored"), _prose("None takes all")
    ('side in pixels. By default: as stored', 'null takes all')
    """
    plain = re.sub(r"`+([^`]*)`+", r"\1", " ".join(text.split()))
    return re.sub(r"\bNone\b", "null", re.sub(r"\bNone: ", "By default: ", plain))


@cache
def _file(module: str) -> Path:
    package, _, rest = module.partition(".")
    if package == "pellucid":
        place = Path(__file__).parents[1].joinpath(*filter(None, rest.split(".")))
        return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    spec = find_spec(module)
    return Path(spec.origin if spec is not None and spec.origin else module)


@cache
def _tree(module: str) -> ast.Module:
    """The source of a module; of a package whose names are loaded on first use, with its stub."""
    file = _file(module)
    texts = [path.read_text(encoding="utf-8") for path in (file, file.with_suffix(".pyi")) if path.is_file()]
    return ast.parse("\n".join(texts))


@cache
def _defined(module: str, name: str) -> tuple[str, ast.AST | None]:
    """What a name means in a module, a class or an assigned expression, and the module that says so.

    Nothing, where it is a built-in name or comes from another package, whose source is not asked.
    """
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in map(ast.unparse, targets):
            return module, node.value
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    package = module if _file(module).name == "__init__.py" else module.rpartition(".")[0]
                    source = resolve_name("." * node.level + (node.module or ""), package)
                    if source.partition(".")[0] == module.partition(".")[0]:
                        return _defined(source, alias.name)
    return module, None


def _class(module: str, name: str) -> Class | None:
    source, node = _defined(module, name)
    return Class(source, node) if isinstance(node, ast.ClassDef) else None


def _accepted(module: str, annotation: ast.expr | None) -> tuple[Class | None, str]:
    """The class whose fields are given in a field's place, if any, and how a plain value is written."""
    match annotation:
        case ast.BinOp(left=left, right=right):
            parts = [_accepted(module, left), _accepted(module, right)]
            return next((inner for inner, _ in parts if inner), None), "|".join(word for _, word in parts if word)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=values):
            return None, "|".join(str(ast.literal_eval(v)) for v in getattr(values, "elts", [values]))
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *_])):
            return _accepted(module, inner)
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=items)):
            return None, f"{_accepted(module, items[0])[1] or 'TEXT'},..."
        case ast.Subscript(value=ast.Name(id=name)):
            return None, "" if name == "Callable" else SCALARS.get(name, "YAML")
        case ast.Name(id=name) if name in SCALARS:
            return None, SCALARS[name]
        case ast.Name(id=name):
            source, meant = _defined(module, name)
            return _accepted(source, meant) if isinstance(meant, ast.expr) else (_class(module, name), "")
    return None, ""


def _written(module: str, default: ast.expr | None) -> str:
    """A default as a person would write it."""
    match default:
        case None | ast.Constant(value=None):
            return ""
        case ast.Constant(value=bool(value)):
            return str(value).lower()
        case ast.Constant(value=value):
            return str(value)
        case ast.Tuple(elts=items):
            return ",".join(_written(module, item) for item in items)
        case ast.Name(id=name):
            source, meant = _defined(module, name)
            return _written(source, meant) if isinstance(meant, ast.expr) else name
        case ast.Call(func=ast.Name(id="Path"), args=[ast.Constant(value=value)]):
            return str(value)
        case ast.Call(func=ast.Name(id="field"), keywords=[ast.keyword(value=factory)]):
            return "" if ast.unparse(factory) in ("dict", "list", "tuple") else ast.unparse(factory)
        case ast.Call(func=ast.Name(id=name), keywords=[]):
            return name
    return ast.unparse(default).replace(" / ", "/")
