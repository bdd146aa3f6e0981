"""A layer written under its name: all names are checked before any work, all files appear at once or none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa

from geoseg.files import commit, partial_folder, require_folder, require_free, writing
from geoseg.tables import csv_text
from geoseg.writers.formats import Format, format_of
from geoseg.writers.layer import Batches, Layer, SideTable, bounded

_OF_RASTER = b"<rasterrenderer"
_OF_CLASSES = b'type="categorizedSymbol"'
_STYLE = ".qml"
_JOURNALS = ("-wal", "-shm", "-journal")
_INDICES = (".qix", ".sbn", ".sbx", ".shp.xml")


def require_names(
    path: Path, *, tables: Collection[str] = (), overwrite: bool, inputs: Iterable[Path] = ()
) -> tuple[str, ...]:
    """Notes, if every file that a layer becomes may be written: itself, side files, style, tables.

    A style ``NAME.qml`` may be there for good reasons: that of a raster is never replaced, one of classes
    (the same layer in another format) only with `overwrite`. The layer then goes without one, with a note.

    Parameters
    ----------
    path
        The file to open.
    tables
        Names of its side tables.
    overwrite
        Whether files of these names may be replaced.
    inputs
        Files that must not be replaced in any case.

    Raises
    ------
    UsageError
        The suffix is no format.
    OutputConflictError
        A name is taken, or the folder cannot be written.
    """
    format_ = format_of(path)
    given = tuple(inputs)
    require_folder(path)
    require_free(path, overwrite=overwrite, inputs=given)
    for side in _sides(path, format_, tables, overwrite=overwrite):
        require_free(side, overwrite=overwrite, inputs=given, beside=path)
    style = path.with_suffix(_STYLE)
    if format_.style == "beside" and _stays(style, overwrite=overwrite):
        return (f"{style.name} was there and was kept, so {path.name} comes without a style of its own",)
    return ()


def write_layer(path: Path, batches: Batches, layer: Layer, *, overwrite: bool) -> tuple[Path, ...]:
    """Paths of the files written, the one to open first; they appear whole or not at all.

    Where the format has layers, the others of a file that is there stay as they are.

    Raises
    ------
    OutputConflictError
        A file exists, or the folder cannot be written.
    ResourceError
        The disk is full.
    """
    format_ = format_of(path)
    beside = {} if format_.has_tables else layer.made_tables
    require_names(path, tables=beside, overwrite=overwrite)
    with writing(path), partial_folder(path) as folder:
        if format_.has_layers and path.exists():
            format_.keep_others(path, folder / path.name, layer.name)
        written = format_.write(folder / path.name, bounded(batches), layer)
        written = [*(_csv(folder / _beside(path, name), table) for name, table in beside.items()), *written]
        if format_.style == "beside" and layer.style is not None:
            styles = _styles(path, written, layer.style(), overwrite=overwrite)
            written = [*styles, *written]
        targets = [path.with_name(file.name) for file in written]
        checked = {path, *_sides(path, format_, beside, overwrite=overwrite)}
        for target in targets:  # parts that a format adds as it goes are met here for the first time
            if target not in checked:
                require_free(target, overwrite=overwrite, beside=path)
        _clear(path, format_, layer, targets)
        commit(zip(written, targets, strict=True))
    return tuple(reversed(targets))


def _sides(path: Path, format_: Format, tables: Collection[str], *, overwrite: bool) -> list[Path]:
    """Files beside the one to open that are certain to be written."""
    sides = [path.with_suffix(suffix) for suffix in format_.companions]
    if not format_.has_tables:
        sides += [path.with_name(_beside(path, name)) for name in tables]
    style = path.with_suffix(_STYLE)
    if format_.style == "beside" and not _stays(style, overwrite=overwrite):
        sides.append(style)
    return sides


def _beside(path: Path, table: str) -> str:
    """Name of the CSV file with a side table."""
    return f"{path.name}_{table}.csv"


def _stays(style: Path, *, overwrite: bool) -> bool:
    """Whether a style that is there is not replaced, although a layer would bring one."""
    if not style.is_file():
        return False
    text = style.read_bytes()
    return _OF_RASTER in text or (_OF_CLASSES in text and not overwrite)


def _styles(path: Path, written: Collection[Path], text: str, *, overwrite: bool) -> list[Path]:
    """The style beside every part of a layer, but where another one stays."""
    made = [file.with_suffix(_STYLE) for file in written if file.suffix == path.suffix]
    made = [style for style in made if not _stays(path.with_name(style.name), overwrite=overwrite)]
    for style in made:
        style.write_text(text, encoding="utf-8")
    return made


def _csv(file: Path, table: SideTable) -> Path:
    from pyarrow.csv import WriteOptions, write_csv

    rows = table.rows()
    if any(pa.types.is_string(f.type) or pa.types.is_large_string(f.type) for f in rows.schema):
        columns = (column.to_pylist() for column in rows.columns)
        text = csv_text([rows.column_names, *zip(*columns, strict=True)])
        file.write_text(text, encoding="utf-8", newline="\n")
    else:
        write_csv(rows, file, WriteOptions(quoting_style="none"))
    return file


def _clear(path: Path, format_: Format, layer: Layer, targets: Collection[Path]) -> None:
    """Remove journals and side files of an older output, which would be taken for the new one's.

    Of several files the one to open comes last, and the older one goes first: killed in between there is
    none, rather than one beside files of another.
    """
    if len(targets) > 1:
        path.unlink(missing_ok=True)
    old = [path.with_name(path.name + suffix) for suffix in _JOURNALS]
    old += [path.with_name(_beside(path, name)) for name in layer.tables]
    if format_.companions:
        old += [path.with_suffix(suffix) for suffix in (*format_.companions, *_INDICES)]
    for file in old:
        if file not in targets:
            file.unlink(missing_ok=True)
