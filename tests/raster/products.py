"""Products in the layout of their agencies, made of small pixels: names, descriptions, JPEG 2000."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

UTM = "EPSG:32631"
CORNER = Affine(10, 0, 600_000, 0, -10, 4_900_020)
ORDER = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
METRES = {
    **dict.fromkeys(("B02", "B03", "B04", "B08"), 10),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12", "SCL"), 20),
    **dict.fromkeys(("B01", "B09", "B10"), 60),
}

Bands = Mapping[str, NDArray[Any]]


def sentinel2(
    folder: Path, bands: Bands, *, level: str = "1C", baseline: str = "05.09", offset: int | None = -1000
) -> Path:
    """SAFE folder of a product with these bands, stored values, each of its own size."""
    number = baseline.replace(".", "")
    stem = f"S2B_MSIL{level}_20230705T105629_N{number}_R094_T31TFJ_20230705T130233"
    product = folder / f"{stem}.SAFE"
    granule = f"L{level}_T31TFJ_A033058_20230705T105806"
    images = []
    for name, pixels in bands.items():
        metres = METRES[name]
        place = f"GRANULE/{granule}/IMG_DATA/" + (f"R{metres}m/" if level == "2A" else "")
        image = f"{place}T31TFJ_20230705T105629_{name}" + (f"_{metres}m" if level == "2A" else "")
        jpeg2000(product / f"{image}.jp2", pixels, CORNER * Affine.scale(metres / 10))
        images.append(image)
    (product / f"MTD_MSIL{level}.xml").write_text(_description(level, baseline, offset, images))
    (product / "manifest.safe").write_text("<xfdu:XFDU xmlns:xfdu='urn:ccsds:schema:xfdu:1'/>")
    return product


def jpeg2000(path: Path, pixels: NDArray[Any], transform: Affine) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", count=1, height=height, width=width, dtype=pixels.dtype.name,
        crs=UTM, transform=transform, QUALITY=100, REVERSIBLE="YES", BLOCKXSIZE=64, BLOCKYSIZE=64,
    ) as file:  # fmt: skip
        file.write(pixels, 1)


def _description(level: str, baseline: str, offset: int | None, images: list[str]) -> str:
    kind = {"1C": "RADIO", "2A": "BOA"}[level]
    added = "" if offset is None else "".join(
        f'<{kind}_ADD_OFFSET band_id="{i}">{offset}</{kind}_ADD_OFFSET>' for i in range(len(ORDER))
    )  # fmt: skip
    offsets = {"1C": "Radiometric_Offset_List", "2A": "BOA_ADD_OFFSET_VALUES_LIST"}[level]
    quantification = (
        '<QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>'
        if level == "1C"
        else "<QUANTIFICATION_VALUES_LIST>"
        '<BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>'
        '<AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>'
        '<WVP_QUANTIFICATION_VALUE unit="cm">1000.0</WVP_QUANTIFICATION_VALUE>'
        "</QUANTIFICATION_VALUES_LIST>"
    )
    files = "".join(f"<IMAGE_FILE>{image}</IMAGE_FILE>" for image in images)
    schema = f"https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd"
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>'
        f'<n1:Level-{level}_User_Product xmlns:n1="{schema}">'
        f"<n1:General_Info><Product_Info><PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>"
        f"<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE><Product_Organisation><Granule_List>"
        f'<Granule imageFormat="JPEG2000">{files}</Granule></Granule_List></Product_Organisation>'
        "</Product_Info><Product_Image_Characteristics><Special_Values>"
        "<SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>"
        f"</Special_Values>{quantification}"
        + (f"<{offsets}>{added}</{offsets}>" if added else "")
        + f"</Product_Image_Characteristics></n1:General_Info></n1:Level-{level}_User_Product>"
    )


def zipped(product: Path) -> Path:
    """The archive of a SAFE folder, as it is delivered."""
    archive = product.parent / f"{product.name}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(product.rglob("*")):
            file.write(path, path.relative_to(product.parent))
    return archive


def landsat(folder: Path, bands: Bands, *, level: str = "L2SP", spacecraft: str = "LANDSAT_8") -> Path:
    """Folder of a Collection 2 product with these bands (numbers, QA_PIXEL), stored values."""
    sensor = {"LANDSAT_8": "LC08", "LANDSAT_7": "LE07"}[spacecraft]
    stem = f"{sensor}_{level}_199026_20220714_20220721_02_T1"
    product = folder / stem
    product.mkdir(parents=True)
    names = {
        b: f"{stem}_{b if b == 'QA_PIXEL' else ('SR_B' if level[1] == '2' else 'B') + b}.TIF" for b in bands
    }
    for band, pixels in bands.items():
        height, width = pixels.shape
        with rasterio.open(
            product / names[band], "w", driver="GTiff", count=1, height=height, width=width, crs=UTM,
            dtype=pixels.dtype.name, transform=CORNER * Affine.scale(3), tiled=True, blockxsize=64,
            blockysize=64,
        ) as file:  # fmt: skip
            file.write(pixels, 1)
    numbers = [b for b in bands if b != "QA_PIXEL"]
    lines = [
        "GROUP = LANDSAT_METADATA_FILE",
        "  GROUP = PRODUCT_CONTENTS",
        f'    LANDSAT_PRODUCT_ID = "{stem}"',
    ]
    lines += [f'    PROCESSING_LEVEL = "{level}"', "    COLLECTION_NUMBER = 02"]
    lines += [f'    FILE_NAME_BAND_{n} = "{names[n]}"' for n in numbers]
    if "QA_PIXEL" in bands:
        lines.append(f'    FILE_NAME_QUALITY_L1_PIXEL = "{names["QA_PIXEL"]}"')
    lines += ["  END_GROUP = PRODUCT_CONTENTS", "  GROUP = IMAGE_ATTRIBUTES"]
    lines += [f'    SPACECRAFT_ID = "{spacecraft}"', "    SUN_ELEVATION = 30.00000000"]
    lines += ["  END_GROUP = IMAGE_ATTRIBUTES"]
    for group, mult, add in (
        ("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", "2.75e-05", "-0.2"),
        ("LEVEL1_RADIOMETRIC_RESCALING", "2.0000E-05", "-0.100000"),
    ):
        if group.startswith("LEVEL2") and level[1] != "2":
            continue
        lines.append(f"  GROUP = {group}")
        lines += [f"    REFLECTANCE_MULT_BAND_{n} = {mult}" for n in numbers]
        lines += [f"    REFLECTANCE_ADD_BAND_{n} = {add}" for n in numbers]
        lines.append(f"  END_GROUP = {group}")
    lines += ["END_GROUP = LANDSAT_METADATA_FILE", "END"]
    (product / f"{stem}_MTL.txt").write_text("\n".join(lines) + "\n")
    return product


def tarred(product: Path) -> Path:
    """The archive of a Landsat folder, as it is delivered."""
    archive = product.parent / f"{product.name}.tar"
    with tarfile.open(archive, "w") as file:
        for path in sorted(product.iterdir()):
            file.add(path, path.name)
    return archive


def noise(size: int, *, low: int = 1, high: int = 9000, seed: int = 0) -> NDArray[np.uint16]:
    """Square of stored values."""
    return np.random.default_rng(seed).integers(low, high, (size, size)).astype(np.uint16)
