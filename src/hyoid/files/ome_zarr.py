"""OME-Zarr: folders of compressed chunks, of versions 0.1 to 0.5 (zarr formats 2 and 3), at full resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..core.boxes import Boxes, Filled
from ..core.errors import ConfigError, DataError
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.trees import load_json
from .blocks import Blocks, as_read
from .colours import colour_of
from .header import Format, Header, Stored
from .sniff import check_regular, damaged
from .units import millimetres
from .zarr_chunks import check_of_claims, checked, empty, is_there, note_on_missing

CHUNK = {2: (1024, 1024), 3: (128, 128, 128)}
"""Chunks of labels that are written, at most."""

CODECS = {
    "adler32", "astype", "bitround", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta", "fixedscaleoffset",
    "fletcher32", "gzip", "lz4", "lzma", "packbits", "quantize", "sharding_indexed", "shuffle", "transpose", "zlib",
    "zstd",
}  # fmt: skip
"""Codecs that make numbers of bytes, and nothing else; one that unpickles would run what somebody else wrote."""

_CODEC_KEYS = ("codecs", "index_codecs", "compressor", "filters")
_METADATA = ("zarr.json", ".zarray")
_ANYTHING = ("attributes", "consolidated_metadata")  # the second is not used


def read(path: Path, as_labels: bool = False) -> Stored:
    """The whole image as (C, *S)."""
    source = _source(path)
    header = _header(path, source)
    boxes = _blocks(path, source, header, np.dtype(header.dtype))
    return Stored(boxes[(slice(None),) * len(boxes.shape)], header)


def read_header(path: Path) -> Header:
    """Axes, channels, type and pixel size, without decoding."""
    return _header(path, _source(path))


def open_chunks(path: Path) -> Boxes | None:
    """The image, decoded chunk by chunk where it is read."""
    source = _source(path)
    header = _header(path, source)
    return _blocks(path, source, header, as_read(header.dtype))


def _zarr(path: Path) -> Any:
    try:
        import zarr
    except ImportError:
        raise ConfigError(f"{path}: OME-Zarr needs the package zarr: pip install 'zarr>=3'.") from None
    return zarr


@cache
def _guarded() -> type[Any]:
    """A store that reads regular files in its folder only, and no arrays whose codecs are not known to be harmless."""
    from zarr.storage import LocalStore

    class Guarded(LocalStore):
        check: Any = None

        async def get(self, key: str, *args: Any, **options: Any) -> Any:
            file = self.root / key
            if not file.resolve().is_relative_to(self.root.resolve()):
                raise DataError(f"{self.root}: {key} leads out of its folder; put the whole image into one folder.")
            if file.exists() and not file.is_dir():
                check_regular(file)
            found = await super().get(key, *args, **options)
            if found is not None and Path(key).name in _METADATA:
                tree = load_json(found.to_bytes().decode(errors="replace"))
                for field in _ANYTHING if isinstance(tree, dict) else ():
                    tree.pop(field, None)
                _check_codecs(self.root, tree)
            elif found is not None and self.check is not None and not Path(key).name.startswith("."):
                self.check(found.as_numpy_array()[:32].tobytes())
            return found

    return Guarded


def _check_codecs(path: Path, tree: Any) -> None:
    """Refuse metadata that name a codec beside `CODECS`."""
    pairs = tree.items() if isinstance(tree, dict) else ((None, one) for one in tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        if key in _CODEC_KEYS:
            for one in value if isinstance(value, list) else [value]:
                named = [one.get("id"), one.get("name")] if isinstance(one, dict) else [one]
                for name in filter(None, named):
                    if str(name).removeprefix("numcodecs.") not in CODECS:
                        raise DataError(
                            f"{path}: its chunks are stored with the codec {name!r}, which hyoid does not run; write "
                            "it again with one such as zstd."
                        )
        _check_codecs(path, value)


@dataclass(frozen=True)
class _Source:
    """The finest array of an image, with the letter, unit and step of each of its axes, and where the axis begins."""

    array: Any
    names: list[str]
    units: list[str]
    scale: list[float]
    shift: list[float]


def _header(path: Path, source: _Source) -> Header:
    array, names = source.array, source.names
    sizes = dict(zip(names, array.shape, strict=False))
    if sizes.get("t", 1) > 1:
        raise DataError(f"{path}: it holds {sizes['t']} points in time; save each as an image of its own.")
    if set(sizes) - set("tczyx") or not {"y", "x"} <= set(sizes) or not len(sizes) == len(names) == array.ndim:
        raise DataError(f"{path}: expected axes among channel, z, y and x; it has {', '.join(names)} {array.shape}.")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: an image holds real numbers; this one holds {array.dtype}.")
    spatial = _spatial(sizes)
    lengths = [one * (millimetres(unit) or 0) for one, unit in zip(source.scale, source.units, strict=True)]
    spacing = tuple(lengths[names.index(name)] for name in spatial)
    known = all(0 < one < np.inf for one in spacing)
    grid = Grid.plain([sizes[name] for name in spatial], spacing if known else None)
    dtype = "uint8" if array.dtype == bool else str(array.dtype.newbyteorder("="))
    name = f"OME-Zarr (zarr {array.metadata.zarr_format})"
    array.store.check = check_of_claims(path, array)
    notes = tuple(filter(None, [note_on_missing(path, array)]))
    return Header(name, grid, sizes.get("c", 1), dtype, notes, placed=False)


def _spatial(sizes: Mapping[str, int]) -> list[str]:
    return [name for name in "zyx" if name in sizes and (name != "z" or sizes["z"] > 1)]


def _blocks(path: Path, source: _Source, header: Header, dtype: np.dtype) -> Blocks:
    array, names = source.array, source.names
    size = dict(zip(names, array.shape, strict=True))
    wanted = ["c", *_spatial(size)]
    chunk = dict(zip(names, array.chunks, strict=True))
    block = {name: min(chunk.get(name, 1), size.get(name, 1)) for name in wanted}

    def fetch(place: tuple[int, ...]) -> np.ndarray:
        begin = {name: number * block[name] for name, number in zip(wanted, place, strict=True)}
        index = tuple(slice(begin[n], begin[n] + block[n]) if n in begin else slice(0, 1) for n in names)
        try:
            part = np.asarray(array[index] if is_there(array, index) else empty(array, index), dtype)
        except DataError:
            raise
        except Exception as error:
            raise damaged(path, error) from error
        kept = [name for name in names if name in wanted]
        part = part.reshape([part.shape[names.index(name)] for name in kept])
        part = part.transpose([kept.index(name) for name in wanted if name in kept])
        return np.ascontiguousarray(part if "c" in kept else part[None])

    return Blocks((header.channels, *header.shape), dtype, tuple(block[name] for name in wanted), fetch)


def _source(path: Path) -> _Source:
    zarr = _zarr(path)
    with zarr.config.set(checked()):
        return _finest(path, zarr)


def _finest(path: Path, zarr: Any) -> _Source:
    try:
        node = zarr.open(_guarded()(path, read_only=True), mode="r", use_consolidated=False)
    except DataError:
        raise
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: expected an OME-Zarr image, but it cannot be read as one ({words}).") from None
    if isinstance(node, zarr.Array):
        names = list("tczyx"[5 - node.ndim :]) if node.ndim != 4 else list("czyx")
        if not 2 <= node.ndim <= 5:
            raise DataError(f"{path}: an image has 2 or 3 axes, and channels; got shape {node.shape}.")
        return _Source(node, names, [""] * node.ndim, [1.0] * node.ndim, [0.0] * node.ndim)
    facts = _facts(node)
    if "multiscales" not in facts and "0" in node and "multiscales" in _facts(node["0"]):
        node = node["0"]  # as bioformats2raw lays images out
        facts = _facts(node)
    try:
        image = facts["multiscales"][0]
        finest = image["datasets"][0]
        array = node[finest["path"]]
        axes = image.get("axes") or list("tczyx")
        named = [(a, "") if isinstance(a, str) else (str(a["name"]), str(a.get("unit", ""))) for a in axes]
        steps = [*finest.get("coordinateTransformations", ()), *image.get("coordinateTransformations", ())]
        scale, shift = np.ones(array.ndim), np.zeros(array.ndim)
        with np.errstate(all="ignore"):
            for step in steps:
                if "scale" in step:
                    scale, shift = scale * step["scale"], shift * step["scale"]
                if "translation" in step:
                    shift = shift + step["translation"]
        if not np.isfinite([scale, shift]).all():
            raise DataError(f"{path}: a scale or translation in its `multiscales` is no finite number; correct it.")
    except (KeyError, IndexError, TypeError, ValueError):
        raise DataError(f"{path}: expected an OME-Zarr image, but the folder describes none (`multiscales`).") from None
    return _Source(array, [n.lower() for n, _ in named], [u for _, u in named], scale.tolist(), shift.tolist())


def _facts(node: Any) -> dict[str, Any]:
    attributes = dict(node.attrs)
    return dict(attributes.get("ome", attributes))


def write(path: Path, array: Filled, grid: Grid, like: Path | None = None, labels: Labels | None = None) -> None:
    """Write an image of one resolution, chunk by chunk; with an OME-Zarr source its version and scale stay exactly.

    Names, colours and codes of labels go into the metadata `image-label`.
    """
    zarr = _zarr(path)
    source = _source(like) if like is not None and like.name.lower().endswith(FORMAT.suffixes) else None
    kind = 3 if source is None else int(source.array.metadata.zarr_format)
    names = [*"c"[: len(array.shape) - grid.dims], *"zyx"[-grid.dims :]]
    version = "0.5" if kind == 3 else "0.4"
    facts: dict[str, Any] = {"multiscales": [{"version": version, **_described(names, grid, source)}]}
    if labels is not None:
        rows = labels.named
        colours = [{"label-value": v, "rgba": [*colour_of(i), 255]} for i, (_, v, _) in enumerate(rows)]
        names_of = [{"label-value": v, "name": n} | ({"code": c._asdict()} if c else {}) for n, v, c in rows]
        facts["image-label"] = {"version": version, "colors": colours, "properties": names_of}
    attributes = {"ome": {"version": version, **facts}} if kind == 3 else facts
    group = zarr.create_group(store=path, zarr_format=kind, attributes=attributes)
    largest = (1,) * (len(names) - grid.dims) + CHUNK[grid.dims]
    chunks = tuple(min(a, b) for a, b in zip(array.shape, largest, strict=True))
    encoding = {"name": "default" if kind == 3 else "v2", "separator": "/"}
    further = {"dimension_names": names} if kind == 3 else {}
    stored = group.create_array(
        "0", shape=array.shape, chunks=chunks, dtype=array.dtype, chunk_key_encoding=encoding,
        config={"write_empty_chunks": True}, **further,
    )  # fmt: skip
    for start in product(*(range(0, size, step) for size, step in zip(array.shape, chunks, strict=True))):
        place = tuple(slice(a, min(a + n, size)) for a, n, size in zip(start, chunks, array.shape, strict=True))
        stored[place] = array[place]


def _described(names: list[str], grid: Grid, source: _Source | None) -> dict[str, Any]:
    units = dict.fromkeys(names, "millimeter" if grid.calibrated else "")
    scale = dict(zip(names[-grid.dims :], grid.spacing_mm, strict=True))
    shift = dict.fromkeys(names, 0.0)
    if source is not None:
        units |= dict(zip(source.names, source.units, strict=True))
        scale |= dict(zip(source.names, source.scale, strict=True))
        shift |= dict(zip(source.names, source.shift, strict=True))
    axes = []
    for name in names:
        unit = {"unit": units[name]} if units[name] and name != "c" else {}
        axes.append({"name": name, "type": "channel" if name == "c" else "space", **unit})
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": [scale.get(name, 1.0) for name in names]}]
    if any(shift[name] for name in names):
        steps.append({"type": "translation", "translation": [shift[name] for name in names]})
    return {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}


FORMAT = Format("OME-Zarr", (".ome.zarr", ".zarr"), read, read_header, write, open=open_chunks, in_parts=True)
