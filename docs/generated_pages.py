"""Make the pages of the documentation that are written elsewhere: a hook of MkDocs, named in mkdocs.yml.

README.md and what lies beside it, a reference of ``conf/`` and a reference of ``src/littlenets``.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import griffe
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).parents[1]
BESIDE_README = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
# Where the arguments of classes from elsewhere are described.
ELSEWHERE = {
    "torch": "https://docs.pytorch.org/docs/stable/generated/{}.html",
    "pytorch_lightning": "https://lightning.ai/docs/pytorch/stable/",
}


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the generated pages to the files of docs/, and those of a folder below its ``index.md`` in the navigation."""
    package = griffe.load(
        "littlenets",
        search_paths=[str(REPOSITORY / "src")],
        docstring_parser="google",
        docstring_options={"warnings": False},
    )
    pages = {name: (REPOSITORY / name).read_text(encoding="utf-8").replace("](docs/", "](") for name in BESIDE_README}
    pages |= configuration_pages(package) | api_pages(package)
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    for entry in config.nav:
        title, page = next(iter(entry.items()))
        if isinstance(page, str) and page.endswith("/index.md"):
            folder = page.removesuffix("index.md")
            others = [name for name in pages if name.startswith(folder) and name != page]
            entry[title] = [page, *({Path(name).stem: name} for name in others)]


def configuration_pages(package: griffe.Module) -> dict[str, str]:
    """Return a page for the commands' own settings, and one for each group with all of its choices."""
    conf = REPOSITORY / "conf"
    groups = sorted(path.name for path in conf.iterdir() if path.is_dir())
    index = [
        "# Configuration",
        "The files of `conf/` as they are, and what the classes that they configure say of their arguments.",
        "`data.noise=0.5` on the command line changes an option of a group, `data=mnist` chooses another of its files. "
        "An argument that a file leaves out is added with a plus sign: `+trainer.limit_train_batches=10`. "
        "Types such as `Count` and `Share` are numbers with a range: [littlenets.ranges](../api/ranges.md).",
        "Groups: " + ", ".join(f"[`{group}`]({group}.md)" for group in groups) + ".",
    ]
    for command in ("train", "evaluate", "predict", "report"):
        index += [f"## {command}.py", yaml_block(conf / f"{command}.yaml")]
    pages = {"configuration/index.md": "\n\n".join(index)}
    for group in groups:
        parts = [f"# {group}"]
        for path in sorted((conf / group).glob("*.yaml")):
            parts += [f"## {group}={path.stem}", yaml_block(path)]
            parts += [arguments(target, package) for target in targets(yaml.safe_load(path.read_text("utf-8")))]
        pages[f"configuration/{group}.md"] = "\n\n".join(parts)
    return pages


def yaml_block(path: Path) -> str:
    """Return a file as a block of code below its name."""
    return f'```yaml title="{path.relative_to(REPOSITORY)}"\n{path.read_text(encoding="utf-8")}```'


def targets(node: object) -> Iterator[str]:
    """Yield every ``_target_`` in a configuration."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)


def arguments(target: str, package: griffe.Module) -> str:
    """Return a table of the arguments of a class of the package, or a link to the documentation of another class."""
    root, _, name = target.partition(".")
    if root != package.name:
        return f"Arguments: [`{target}`]({ELSEWHERE[root].format(target)})."
    configured = package[name]
    described: dict[str, str] = {}
    # A base class describes the arguments that its subclasses pass on.
    for described_class in reversed([configured, *configured.mro()]):
        for section in described_class.docstring.parsed if described_class.docstring else ():
            if section.kind is griffe.DocstringSectionKind.parameters:
                described |= {argument.name: argument.description for argument in section.value}
    rows = [
        f"| `{parameter.name}` | `{parameter.annotation}` | {one_line(described.get(parameter.name, ''))} |"
        for parameter in configured.parameters
        if parameter.name != "self"
    ]
    # Only what a package exports is on a page of the API reference.
    link = f"[`{target}`][{target}]" if configured.is_alias else f"`{target}`"
    if not rows:
        return f"{link} has no arguments."
    return "\n".join([f"Arguments of {link}:\n", "| argument | type | |", "| --- | --- | --- |", *rows])


def one_line(text: str) -> str:
    """Return a text that fits a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("|", r"\|")


def first_line(module: griffe.Module) -> str:
    """Return the first line of a module's docstring."""
    return module.docstring.value.splitlines()[0]


def api_pages(package: griffe.Module) -> dict[str, str]:
    """Return a page for each module and package directly in the package, and a list of them.

    A package that names its public objects in ``__all__`` shows these; another one shows all of its modules.
    """
    modules = sorted(package.modules.values(), key=lambda module: module.name)
    rows = [f"| [`{module.name}`]({module.name}.md) | {first_line(module)} |" for module in modules]
    table = "\n".join(["| module of littlenets | |", "| --- | --- |", *rows])
    pages = {"api/index.md": f"# API reference\n\n{table}\n"}
    for module in modules:
        submodules = "false" if module.exports else "true"
        # The types of ranges.py have no docstrings.
        undocumented = "true" if module.name == "ranges" else "false"
        pages[f"api/{module.name}.md"] = (
            f"::: {module.path}\n    options:\n      show_submodules: {submodules}\n"
            f"      show_if_no_docstring: {undocumented}\n"
        )
    return pages
