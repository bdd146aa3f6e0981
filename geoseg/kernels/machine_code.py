"""Machine code of kernels: bitcode translated for the processor at hand once, and kept in the user's cache.

What is loaded from there is run, so it is taken from files of this very user alone, which nobody else can
write, and only whole: each begins with the digest of the rest.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from geoseg.errors import GeosegError
from geoseg.files import cache_folder, whole

_DIGEST = hashlib.sha256().digest_size
_OF_OTHERS = 0o022


def engine_of(bitcode: bytes) -> Any:
    """LLVM's engine with the functions of some bitcode, ready to run.

    Raises
    ------
    RuntimeError
        This LLVM cannot read it.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    processor = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    module = llvm.parse_bitcode(bitcode)
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=processor[0], features=processor[1], opt=2, codemodel="jitdefault", jit=True
    )
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    key = hashlib.sha256(repr((llvm.llvm_version_info, machine.triple, processor)).encode() + bitcode)
    name = f"{key.hexdigest()[:32]}.o"
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.set_object_cache(lambda _, made: _keep(name, made), lambda _: _kept(name))
    engine.finalize_object()
    return engine


def _path(name: str) -> Path:
    return cache_folder() / "kernels" / name


def _kept(name: str) -> bytes | None:
    """What was kept; None where there is nothing, or nothing to be trusted."""
    try:
        with _path(name).open("rb") as file:
            status, content = os.fstat(file.fileno()), file.read()
    except (OSError, RuntimeError):  # the second is of a user without a home
        return None
    if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & _OF_OTHERS):
        return None
    code = content[_DIGEST:]
    return code if hashlib.sha256(code).digest() == content[:_DIGEST] else None


def _keep(name: str, code: bytes) -> None:
    # a cache that cannot be written costs the next process a second, no more
    with suppress(GeosegError, RuntimeError), whole(_path(name)) as partial:
        partial.touch(mode=0o600)
        partial.write_bytes(hashlib.sha256(code).digest() + code)
