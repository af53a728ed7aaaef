"""Read the argument names of a constructor from its source code, because importing it could take seconds."""

import ast
import importlib.util
from functools import cache
from pathlib import Path

from .targets import installed_target


@cache
def argument_names(target: str) -> list[str] | None:
    """Return the argument names of a class or function such as ``torch.optim.SGD``.

    Args:
        target: dotted name.

    Returns:
        The names; None if they cannot be found in the source code.
    """
    module, _, name = installed_target(target).rpartition(".")
    file = _module_file(module)
    return _arguments(file, name) if file else None


def _module_file(module: str) -> Path | None:
    """Return the file of a module by its dotted name, or None.

    Only the top-level package is looked up by Python's import system, because looking up a submodule imports its
    parents.
    """
    first, *others = module.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    if not others:
        return Path(spec.origin)
    return _file_below(Path(spec.origin).parent, others) if spec.submodule_search_locations else None


def _file_below(folder: Path, parts: list[str]) -> Path | None:
    path = folder.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _arguments(file: Path, name: str) -> list[str] | None:
    try:
        statements = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None
    for statement in statements:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return _names(statement)
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            methods = (node for node in statement.body if isinstance(node, ast.FunctionDef))
            constructor = next((method for method in methods if method.name == "__init__"), None)
            if constructor:
                return _names(constructor)[1:]
            inherited = (_arguments(file, base.id) for base in statement.bases if isinstance(base, ast.Name))
            return next((names for names in inherited if names is not None), None)
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    source = _imported_from(file, statement)
                    return _arguments(source, alias.name) if source and source != file else None
    return None


def _imported_from(file: Path, statement: ast.ImportFrom) -> Path | None:
    parts = statement.module.split(".") if statement.module else []
    if statement.level == 0:
        return _module_file(".".join(parts))
    folder = file.parents[statement.level - 1]
    return _file_below(folder, parts) if parts else folder / "__init__.py"


def _names(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    return [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
