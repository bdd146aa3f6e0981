"""How an engine is opened for a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from geoseg.engines.choice import EngineChoice
from geoseg.engines.engine import Engine
from geoseg.engines.everything import EverythingEngine
from geoseg.engines.network_engine import Network, NetworkEngine
from geoseg.engines.prompting import PromptEngine, promptable
from geoseg.engines.region_engine import RegionEngine
from geoseg.engines.segment_engine import NetworkSegmentEngine, SegmentNetwork
from geoseg.engines.segments import SegmentEngine
from geoseg.errors import UsageError
from geoseg.models.bundle import Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEntry:
    """A known engine.

    Attributes
    ----------
    network
        ``module:function``, called as ``function(bundle, choice)``; it gives the bundle's `Network`.
    precisions
        What it can compute in; the first is meant by ``auto``, except on a GPU.
    devices
        ``cpu``, ``cuda``.
    detector
        Likewise the bundle's `SegmentNetwork`; empty where it runs no networks of objects.
    """

    network: str
    precisions: tuple[str, ...] = ("fp32",)
    devices: tuple[str, ...] = ("cpu",)
    detector: str = ""


ENGINES: dict[str, EngineEntry] = {
    "torch": EngineEntry(
        network="geoseg.engines.torch_engine:TorchNetwork",
        precisions=("fp32", "bf16", "fp16"),
        devices=("cpu", "cuda"),
        detector="geoseg.engines.torch_detector:TorchDetector",
    ),
    "onnx": EngineEntry(network="geoseg.engines.onnx_engine:OnnxNetwork", precisions=("fp32", "int8")),
    "openvino": EngineEntry(
        network="geoseg.engines.openvino_engine:OpenVinoNetwork", precisions=("fp32", "bf16", "int8")
    ),
}
"""Known engines; the first is meant by ``auto`` where nothing is measured."""

_PROMPTER = "geoseg.engines.torch_prompter:TorchPrompter"


def open_engine(bundle: Bundle, choice: EngineChoice | None = None) -> Engine:
    """Engine that runs a bundle's network, and averages over regions where the bundle asks for it.

    Parameters
    ----------
    bundle
        From `load_bundle`.
    choice
        What it leaves open is decided without measuring: torch, in fp32 on a CPU and in bf16 on a GPU that
        computes it in hardware.

    Raises
    ------
    ResourceError
        A device or a library that is not there.
    UsageError
        An unknown engine, or a precision or device that it does not have; a bundle that has no class for
        every pixel.
    InputError
        Weights that do not fit the architecture.
    """
    if bundle.task != "semantic":
        raise UsageError(
            f"model {bundle.name} does not give every pixel a class",
            why=f"it is {bundle.task}",
            hint="geoseg prompt" if bundle.task == "promptable" else "a semantic model",
        )
    choice = choice or EngineChoice()
    factory: Callable[[Bundle, EngineChoice], Network] = _imported(find_engine(choice).network)
    opened = NetworkEngine(bundle, factory(bundle, choice))
    return opened if bundle.regions is None else RegionEngine(opened, bundle.regions)


def open_segment_engine(
    bundle: Bundle, choice: EngineChoice | None = None, *, everything: int | None = None
) -> SegmentEngine:
    """Engine that finds the objects of an instance or panoptic bundle; the rest is as in `open_engine`.

    With `everything`, of a promptable one, which is asked at points that many pixels from each other.
    """
    if bundle.task == "promptable" and everything is not None:
        return EverythingEngine(bundle, open_prompt_engine(bundle, choice), everything)
    if bundle.task not in ("instance", "panoptic"):
        raise UsageError(
            f"model {bundle.name} finds no objects",
            why=f"it is {bundle.task}",
            hint="an instance or panoptic model",
        )
    choice = choice or EngineChoice()
    entry = find_engine(choice)
    if not entry.detector:
        able = ", ".join(name for name, known in ENGINES.items() if known.detector)
        raise UsageError(f"engine {choice.name} runs no networks of objects", hint=f"auto, {able}")
    factory: Callable[[Bundle, EngineChoice], SegmentNetwork] = _imported(entry.detector)
    return NetworkSegmentEngine(bundle, factory(bundle, choice))


def open_prompt_engine(bundle: Bundle, choice: EngineChoice | None = None) -> PromptEngine:
    """Engine that answers prompts by a promptable bundle, on PyTorch; the rest is as in `open_engine`."""
    factory: Callable[[Bundle, EngineChoice], PromptEngine] = _imported(_PROMPTER)
    return factory(promptable(bundle), choice or EngineChoice())


def _imported(path: str) -> Any:
    """What ``module:function`` names."""
    module, _, function = path.partition(":")
    return getattr(import_module(module), function)


def find_engine(choice: EngineChoice) -> EngineEntry:
    """Entry of the engine that a choice names, once it is clear that it has what else is chosen.

    Of the known engines ``auto`` means the first that computes in the chosen precision.
    """
    able = [name for name, entry in ENGINES.items() if choice.precision in ("auto", *entry.precisions)]
    name = next(iter([*able, *ENGINES])) if choice.name == "auto" else choice.name
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}", hint=f"auto, {', '.join(ENGINES)}")
    entry = ENGINES[name]
    if name not in able:
        raise UsageError(
            f"engine {name} does not compute in {choice.precision!r}",
            why=f"{' and '.join(able)} do" if able else "",
            hint=f"auto, {', '.join(entry.precisions)}",
        )
    if entry.devices == ("cpu",) and choice.device not in ("auto", "cpu"):
        raise UsageError(
            f"engine {name} is for CPUs", why=f"the device is {choice.device!r}", hint="cpu, or engine torch"
        )
    return entry
