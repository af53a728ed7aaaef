"""Resolvers that generate parts of ``--help`` from the configuration files."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from .values import shown

# Width of the column before the description of a setting.
SETTING_WIDTH = 36
# The most important groups come first; the others follow in the order of the defaults list.
FIRST_GROUPS = ("model", "data", "optimizer", "scheduler")


def choices(*, _root_: DictConfig) -> str:
    """List the groups of this command, with one line per choice: its name and the first comment of its file."""
    folders = [Path(source.path) for source in _root_.hydra.runtime.config_sources if source.schema == "file"]
    chosen = {group: name for group, name in _root_.hydra.runtime.choices.items() if not group.startswith("hydra")}
    last = [group for group in chosen if group not in (*FIRST_GROUPS, "experiment")]
    lines = []
    for group in (*FIRST_GROUPS, *last, "experiment"):
        files = {file.stem: file for folder in reversed(folders) for file in folder.glob(f"{group}/*.yaml")}
        if files and group in chosen:
            lines.append(f"{group}=")
            width = max(map(len, files)) + 2
            for name, file in sorted(files.items()):
                mark = "*" if name == chosen[group] else " "
                lines.append(f"{mark} {name:<{width}}{first_comment(file)}".rstrip())
    # Double the dollar signs, because Hydra uses the text as a template.
    return "\n".join(lines).replace("$", "$$")


def first_comment(file: Path) -> str:
    """Return the first comment line of a file that is not a ``@package`` directive or an example command."""
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if line.startswith("#") and text and not text.startswith(("@package", "python ")):
            return text
    return ""


def setting(key: str, *, _root_: DictConfig) -> str:
    """Return ``key=value``, padded to `SETTING_WIDTH`; ``key=...`` if this configuration does not have the key."""
    value = OmegaConf.select(_root_, key, default="...")
    text = f"{key}={shown(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)}"
    return f"{text:<{SETTING_WIDTH}}".replace("$", "$$")
