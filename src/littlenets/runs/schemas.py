"""Pydantic schemas of the files of a run.

This module is imported only when a file is read, because importing pydantic takes 0.1 s.
"""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel

Natural = Annotated[int, Ge(0)]


class _Origin(BaseModel):
    overrides: list[str]
    model: str
    data: str
    stand_in_for: str | None = None


class _Trainer(BaseModel):
    max_epochs: int | None


class Config(BaseModel):
    """Schema of config.yaml. Single settings are checked when the run is rebuilt."""

    origin: _Origin
    trainer: _Trainer
    model: dict[str, dict[str, Any] | None]
    data: dict[str, Any]
    optimizer: dict[str, Any] | None
    scheduler: dict[str, Any] | None
    callbacks: dict[str, Any] | None
    logger: dict[str, Any] | None
    seed: int
    threads: int | Literal["auto"]
    compile: bool


class _Error(BaseModel):
    type: str
    message: str


class _Environment(BaseModel, extra="allow"):
    threads: Annotated[int, Ge(1), Le(4096)] = 1


class Results(BaseModel, extra="allow"):
    """Schema of results.json."""

    status: Literal["completed", "diverged", "failed", "interrupted"]
    metrics: dict[str, float] = {}
    epochs: Natural = 0
    steps: Natural = 0
    ended: str | None = None
    started: str | None = None
    seconds: dict[str, float] = {}
    model: str = ""
    data: str = ""
    overrides: list[str] = []
    seed: int = 0
    warnings: dict[str, str] = {}
    error: _Error | None = None
    environment: _Environment | None = None
    resumed: list[Natural] = []
