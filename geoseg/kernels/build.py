"""Compiles the kernels of the package into the files that ship with it: ``python -m geoseg.kernels.build``.

numba types a kernel and lowers it for no processor in particular; what comes out is cut to what the kernels
need, joined into one LLVM module for each module of the package, and written as bitcode. `library` translates
that for the processor at hand.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from geoseg.kernels.kernel import Kernel
from geoseg.kernels.library import FOLDER, RELEASE, Entry, Library, library_path, write_library
from geoseg.kernels.types import Array, Number, Tuple, Type, parse_types

_PACKAGE = Path(__file__).parents[1]

# Memory of arrays as numba's compiled code expects it (numba/core/runtime/nrt.cpp): a counter, two words that
# stay empty, the data's address and size, and the data itself, aligned.
_RUNTIME = f"""
declare ptr @malloc(i64)
declare void @free(ptr)

define ptr @NRT_MemInfo_alloc_aligned(i64 %size, i32 %align) {{
  %wide = zext i32 %align to i64
  %head = add i64 %wide, 48
  %total = add i64 %size, %head
  %at = call ptr @malloc(i64 %total)
  %none = icmp eq ptr %at, null
  br i1 %none, label %failed, label %made
failed:
  ret ptr null
made:
  %base = ptrtoint ptr %at to i64
  %first = add i64 %base, 47
  %up = add i64 %first, %wide
  %mask = sub i64 0, %wide
  %data = and i64 %up, %mask
  store i64 1, ptr %at
  %dtor = getelementptr i64, ptr %at, i64 1
  store i64 0, ptr %dtor
  %info = getelementptr i64, ptr %at, i64 2
  store i64 0, ptr %info
  %held = getelementptr i64, ptr %at, i64 3
  store i64 %data, ptr %held
  %bytes = getelementptr i64, ptr %at, i64 4
  store i64 %size, ptr %bytes
  ret ptr %at
}}

define void @NRT_incref(ptr %at) noinline {{
  %none = icmp eq ptr %at, null
  br i1 %none, label %done, label %count
count:
  %before = atomicrmw add ptr %at, i64 1 monotonic
  br label %done
done:
  ret void
}}

define void @NRT_decref(ptr %at) noinline {{
  %none = icmp eq ptr %at, null
  br i1 %none, label %done, label %count
count:
  %before = atomicrmw sub ptr %at, i64 1 acq_rel
  %last = icmp eq i64 %before, 1
  br i1 %last, label %free, label %done
free:
  call void @free(ptr %at)
  br label %done
done:
  ret void
}}

define void @{RELEASE}(ptr %at) {{
  call void @NRT_decref(ptr %at)
  ret void
}}
"""

_KNOWN = ("malloc", "free", "atan2", "hypot")
"""What a library may leave to C."""


def modules() -> Iterator[ModuleType]:
    """Modules of the package that have kernels."""
    for path in sorted(_PACKAGE.rglob("*.py")):
        if "\n@kernel(" in path.read_text(encoding="utf-8"):
            yield import_module(".".join(("geoseg", *path.relative_to(_PACKAGE).with_suffix("").parts)))


def kernels(module: ModuleType) -> list[Kernel]:
    """A module's own kernels, in the order of their names."""
    found = [value for _, value in sorted(vars(module).items()) if isinstance(value, Kernel)]
    return [k for k in found if k.function.__module__ == module.__name__]


def stale(module: ModuleType) -> list[str]:
    """Names of a module's kernels that its file does not hold as they are now."""
    held = {(e.symbol.rpartition("/")[0], e.takes, e.digest) for e in Library(module.__name__).entries}
    return [k.name for k in kernels(module) for t in k.takes if (k.name, t, k.digest) not in held]


def build(module: ModuleType) -> None:
    """Compile a module's kernels and write its file."""
    import llvmlite.binding as llvm

    linked = llvm.parse_assembly(_RUNTIME)
    entries = []
    for each in kernels(module):
        for k, takes in enumerate(each.takes):
            symbol, gives, compiled = _compiled(each, takes, f"{each.name}/{k}")
            linked.link_in(compiled)
            entries.append(Entry(digest=each.digest, takes=takes, gives=gives, symbol=symbol))
    if not entries:
        return
    write_library(module.__name__, entries, _finished(linked, {e.symbol for e in entries}))


def _without_place(each: Kernel) -> Any:
    """Dispatcher of numba for a kernel, with no cache, no wrappers, and no trace of where its source lies."""
    from numba import njit

    function = FunctionType(
        each.function.__code__.replace(co_filename=each.function.__module__),
        each.function.__globals__,
        each.name,
    )
    function.__module__ = each.function.__module__
    options: dict[str, Any] = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return njit(**options)(function)


def _compiled(each: Kernel, takes: str, symbol: str) -> tuple[str, str, Any]:
    """(symbol, types of the result, LLVM module) of a kernel, for these types."""
    import llvmlite.binding as llvm
    from numba.core import types

    arguments = tuple(_numba_type(t) for t in parse_types(takes, each.function.__globals__).items)
    each.dispatcher.compile(arguments)
    made = each.dispatcher.overloads[arguments]
    module = llvm.parse_bitcode(made.library._final_module.as_bitcode())
    function = module.get_function(made.fndesc.llvm_func_name)
    function.name = symbol
    names = {t.dtype: t.code for t in _arrays(parse_types(takes, each.function.__globals__))}
    gives = "" if made.signature.return_type == types.none else _written(made.signature.return_type, names)
    return symbol, gives, module


def _arrays(kind: Type) -> Iterator[Array]:
    if isinstance(kind, Tuple):
        for item in kind.items:
            yield from _arrays(item)
    elif isinstance(kind, Array):
        yield kind


def _numba_type(kind: Type) -> Any:
    import numba
    import numpy as np
    from numba.core import types

    if isinstance(kind, Number):
        return numba.from_dtype(np.dtype("?" if kind.code == "b1" else kind.code))
    if isinstance(kind, Array):
        return types.Array(numba.from_dtype(kind.dtype), kind.ndim, "C")
    make: Any = types.BaseTuple.from_types
    return make([_numba_type(item) for item in kind.items])


def _written(kind: Any, names: dict[Any, str]) -> str:
    """Type of numba's in the words of `parse_types`."""
    from numba.core import types
    from numba.np.numpy_support import as_dtype

    items: Any = kind
    if isinstance(kind, types.BaseTuple):
        return f"({', '.join(_written(item, names) for item in items)},)"
    if isinstance(kind, types.Array):
        dtype = as_dtype(kind.dtype)
        code = names.get(dtype) or ("b1" if dtype.kind == "b" else dtype.str[1:])
        if kind.layout != "C":
            raise SystemExit(f"a kernel gives back {kind}, which is not in C order")
        return f"{code}[{','.join(':' * kind.ndim)}]"
    dtype = as_dtype(kind)
    return "b1" if dtype.kind == "b" else str(dtype.str[1:])


def _finished(linked: Any, entries: set[str]) -> bytes:
    """Bitcode of what the entries need, and nothing else."""
    import llvmlite.binding as llvm

    for function in linked.functions:
        if not function.is_declaration and function.name not in (*entries, RELEASE):
            function.linkage = "internal"
    for value in linked.global_variables:
        if not value.is_declaration:
            value.linkage = "internal"
    machine = llvm.Target.from_default_triple().create_target_machine(cpu="generic", opt=2)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    manager = builder.getModulePassManager()
    manager.run(linked, builder)
    linked.verify()
    unknown = [
        value.name
        for value in (*linked.functions, *linked.global_variables)
        if value.is_declaration and value.name not in _KNOWN and not _is_llvms(value.name)
    ]
    if unknown:
        raise SystemExit(f"kernels need what only numba has: {', '.join(unknown)}")
    code: bytes = linked.as_bitcode()
    return code


def _is_llvms(name: str) -> bool:
    """Whether a name is LLVM's own, on every processor."""
    return name.startswith("llvm.") and not name.startswith(("llvm.x86.", "llvm.aarch64."))


def main() -> None:
    """Compile what is not current; all of it with ``--all``."""
    os.environ.update(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    everything = "--all" in sys.argv
    kept = set()
    found = list(modules())
    for each in (k for module in found for k in kernels(module)):
        each.__dict__["dispatcher"] = _without_place(each)
    for module in found:
        path = library_path(module.__name__)
        names = stale(module)
        if names or everything:
            print(f"{path.name}: {', '.join(names) or 'again'}", flush=True)
            build(module)
        if path.exists():
            kept.add(path)
    for path in set(FOLDER.glob("*.bc")) - kept:
        path.unlink()


if __name__ == "__main__":
    main()
