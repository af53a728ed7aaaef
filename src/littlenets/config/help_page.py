"""The parts of ``--help`` that are read from the configuration files, so that nothing is written twice."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from .values import shown

# Of the column before a setting's meaning.
SETTING_WIDTH = 36
# Those that are asked about first; others follow in their order in the defaults list.
FIRST_GROUPS = ("model", "data", "optimizer", "scheduler")


def choices(*, _root_: DictConfig) -> str:
    """Each group that this command has, with one line for each file: its name and its first comment."""
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
    # Hydra fills in what stands after a dollar sign.
    return "\n".join(lines).replace("$", "$$")


def first_comment(file: Path) -> str:
    """The first comment line that says what the file is for, not where it goes or how it is called."""
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if line.startswith("#") and text and not text.startswith(("@package", "python ")):
            return text
    return ""


def setting(key: str, *, _root_: DictConfig) -> str:
    """``key=value``, padded to the column where its meaning stands; ``key=...`` where this configuration has none."""
    value = OmegaConf.select(_root_, key, default="...")
    text = f"{key}={shown(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)}"
    return f"{text:<{SETTING_WIDTH}}".replace("$", "$$")
