"""What a model is, without its weights: all that ``bundle.json`` says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

from geoseg.errors import InputError, UsageError
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.models.contract import InputContract
from geoseg.models.experience import Experience
from geoseg.models.object_rule import TASKS, ObjectRule, Task
from geoseg.models.region_rule import RegionRule

REQUIRED = ("name", "version", "architecture", "input", "legend", "licence")
"""Keys without which there is no description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """A model without its weights.

    Attributes
    ----------
    name, version
        What people call it.
    architecture
        Network without weights.
    contract
        Input that the model takes.
    legend
        Classes in the order of the network's outputs.
    margin
        Pixels at a tile's edge whose predictions are to be discarded by default.
    size_multiple
        Tile sides must be multiples of this, the network's own stride.
    temperature
        Logits are divided by this before the softmax, so that confidence is calibrated (Guo et al. 2017).
    licence
        Licence of the weights.
    provenance
        ``data``, ``credit``, ``command`` and ``geoseg`` (version) of the training.
    scores
        Scores with the ``data`` they were measured on.
    description
        One or two sentences.
    experience
        What the scenes looked like that it learnt from; None where nobody noted it.
    regions
        How a tile is cut into regions that get one class each; None where every pixel has its own.
    tasks
        What it answers, and what it can be asked to answer instead: the first is in force.
    objects
        What counts as an object; None where it answers with none.
    """

    name: str
    version: str
    architecture: Architecture
    contract: InputContract
    legend: Legend
    licence: str
    margin: int = 32
    size_multiple: int = 32
    temperature: float = 1.0
    description: str = ""
    experience: Experience | None = None
    regions: RegionRule | None = None
    tasks: tuple[Task, ...] = ("semantic",)
    objects: ObjectRule | None = None
    provenance: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    scores: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        _check_tasks(self)
        if self.size_multiple < 1 or self.margin < 0 or self.margin % self.size_multiple:
            raise InputError(
                "margin does not fit the network",
                why=f"found {self.margin}, expected a multiple of {self.size_multiple}",
            )
        if not 0 < self.temperature < 1000:
            raise InputError("temperature is not positive", why=f"found {self.temperature}")
        if self.experience is not None and len(self.experience.center) != 2 * len(self.contract.bands):
            raise InputError(
                "what the model has seen does not fit the bands",
                why=f"{len(self.experience.center)} numbers for {len(self.contract.bands)} bands",
            )
        if self.regions is not None and len(self.regions.mean) != len(self.contract.bands):
            raise InputError(
                "regions do not fit the bands",
                why=f"constants of {len(self.regions.mean)} bands for {len(self.contract.bands)}",
            )

    @property
    def task(self) -> Task:
        """What it answers."""
        return self.tasks[0]

    def for_classes(self, purpose: str, *, tasks: Sequence[Task] = ("semantic",)) -> Self:
        """The same model, asked for the first of `tasks` that it answers.

        Raises
        ------
        UsageError
            It answers none, and so gives pixels no class, as `purpose` needs it.
        """
        for task in tasks:
            if task in self.tasks:
                return self.answering(task)
        raise UsageError(
            f"model {self.name} does not give every pixel a class, which {purpose} needs",
            why=f"it is {' and '.join(self.tasks)}",
            hint=f"a model that is {' or '.join(tasks)}",
        )

    def answering(self, task: Task) -> Self:
        """The same model, asked for that one of its tasks; UsageError where it is none of them."""
        if task not in self.tasks:
            raise UsageError(
                f"model {self.name} does not answer task {task!r}",
                why=f"it is {' and '.join(self.tasks)}",
                hint=" or ".join(f"`task={own}`" for own in self.tasks if own != "promptable")
                or "geoseg prompt, which asks it",
            )
        return replace(self, tasks=(task, *(own for own in self.tasks if own != task)))

    def to_json(self) -> dict[str, Any]:
        """Form in ``bundle.json``; `from_json` reads it back to an equal description."""
        several, task = len(self.tasks) > 1, self.task
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "architecture": self.architecture.to_json(),
            "input": self.contract.to_json(),
            "legend": self.legend.to_json(),
            "margin": self.margin,
            "size_multiple": self.size_multiple,
            "temperature": self.temperature,
            **({} if self.experience is None else {"experience": self.experience.to_json()}),
            **({} if self.regions is None else {"regions": self.regions.to_json()}),
            **({} if several or task == "semantic" else {"task": task}),
            **({"tasks": list(self.tasks)} if several else {}),
            **({} if self.objects is None else {"objects": self.objects.to_json()}),
            "licence": self.licence,
            "provenance": dict(self.provenance),
            "scores": dict(self.scores),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ModelDescription:
        """Description from its form in ``bundle.json``.

        Raises
        ------
        InputError
            Values that do not fit each other.
        KeyError, TypeError, ValueError, AttributeError, OverflowError
            A field that is missing or has a wrong form.
        """
        return ModelDescription(
            name=str(raw["name"]),
            version=str(raw["version"]),
            architecture=Architecture.from_json(raw["architecture"]),
            contract=InputContract.from_json(raw["input"]),
            legend=Legend.from_json(raw["legend"]),
            licence=str(raw["licence"]),
            margin=int(raw.get("margin", 32)),
            size_multiple=int(raw.get("size_multiple", 32)),
            temperature=float(raw.get("temperature", 1.0)),
            description=str(raw.get("description", "")),
            experience=None if raw.get("experience") is None else Experience.from_json(raw["experience"]),
            regions=None if raw.get("regions") is None else RegionRule.from_json(raw["regions"]),
            tasks=tuple(raw["tasks"]) if "tasks" in raw else (raw.get("task", "semantic"),),
            objects=None if raw.get("objects") is None else ObjectRule.from_json(raw["objects"]),
            provenance=MappingProxyType(dict(raw.get("provenance", {}))),
            scores=MappingProxyType(dict(raw.get("scores", {}))),
        )


def _check_tasks(model: ModelDescription) -> None:
    """InputError where classes and objects are not those of the model's tasks."""
    tasks = model.tasks
    if unknown := next((task for task in tasks if task not in TASKS), None):
        raise InputError(f"unknown task {unknown!r}", why=f"known are {', '.join(TASKS)}")
    if not tasks or len(set(tasks)) < len(tasks):
        raise InputError("tasks are one or several", why=f"found {', '.join(tasks) or 'none'}")
    for task in tasks:
        _check_task(model, task)


def _check_task(model: ModelDescription, task: Task) -> None:
    """The same of one of the tasks."""
    things, alone = len(model.legend.things), len(model.tasks) == 1
    if len(model.legend) < (2 if task in ("semantic", "panoptic") else 1):
        raise InputError(
            f"a {task} model needs at least {'two classes' if task != 'instance' else 'a class'}"
        )
    if task in ("instance", "panoptic") and model.objects is None:
        raise InputError(f"a {task} model needs to say what an object is", why="'objects' is missing")
    if alone and task == "semantic" and model.objects is not None:
        raise InputError("a semantic model has no objects", why="'objects' is given")
    if alone and task == "instance" and things < len(model.legend):
        stuff = ", ".join(c.name for c in model.legend.classes if c.kind == "stuff")
        raise InputError("all classes of an instance model are things", why=f"{stuff}: stuff")
    if task in ("instance", "panoptic") and not things:
        raise InputError(f"a {task} model needs a class of things", why="all its classes are stuff")
