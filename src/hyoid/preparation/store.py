"""Prepared cases on disk, read patch by patch without reading a case.

One folder for each case with memory-mapped NumPy files (see `packing`), written under a temporary name and renamed
when complete:

    <folder>/<key of the settings>/settings.yaml
    <folder>/<key of the settings>/<case>/image.npy labels.npy places.npy target.npy other.npy extra-*.npy facts.json

`facts.json` has a checksum of each file, compared once in a process when a store is opened or filled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote

import numpy as np
from pydantic import TypeAdapter

from ..core.case import Case, Image
from ..core.digest import checksum, checksum_of, short_name
from ..core.errors import DataError, HyoidError
from ..core.files import atomic_path, regular
from ..core.grid import Grid
from ..core.lock import sharing
from ..core.progress import log, track
from ..core.sources import stats_of
from ..core.trees import load_json
from ..ops.boxes import Scaled
from .packing import Maps, pack, sample_places, smallest_type
from .pipeline import PreparationSettings, prepare

VERSION = 1
"""Raised when files of an older version must not be used."""

_GRID = TypeAdapter(Grid)


@dataclass(frozen=True)
class Store:
    """Prepared cases in a folder."""

    folder: Path  # where one folder for each case lies
    ids: tuple[str, ...]  # the cases in it that belong to this store
    _facts: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _maps: Maps = field(default_factory=Maps, repr=False, compare=False)

    @classmethod
    def open(cls, folder: str | Path, ids: Sequence[str] | None = None) -> Store:
        """The store in a folder: all cases that are complete, or these.

        Raises:
            DataError: When one of these cases is not there, or not as it was written.
        """
        folder = Path(folder)
        found = sorted(unquote(path.parent.name) for path in folder.glob("*/facts.json") if path.parent.name[0] != ".")
        missing = sorted(set(ids or ()) - set(found))
        if missing:
            raise DataError(f"{folder}: no prepared case {missing[0]!r}; prepare the data set again.")
        store = cls(folder, tuple(found if ids is None else ids))
        for case_id in store.ids:
            store.check(case_id)
        return store

    def write(
        self,
        case: Case,
        key: str = "",
        source_grid: Grid | None = None,
        extra: Mapping[str, np.ndarray] | None = None,
        numbered: bool = False,
    ) -> None:
        """Put a prepared case into the folder, replacing an earlier one only when complete.

        Args:
            case: What `prepare` gave.
            key: Tells later whether this is still the same source.
            source_grid: The grid of the files, onto which answers go back.
            extra: Further arrays (*S), such as the weight of each voxel in the loss.
            numbered: Whether the labels number objects of one structure.
        """
        with atomic_path(self._folder(case.id)) as folder:
            folder.mkdir()
            facts = {
                "id": case.id,
                "key": key,
                "version": VERSION,
                "facts": dict(case.facts),
                "grid": asdict(case.image.grid),
                "source_grid": asdict(source_grid or case.image.grid),
                **_write_image(folder / "image.npy", case.image.array),
                **(_write_truth(folder, case.id, case.truth, numbered) if case.truth else {}),
                **({"other": _write_image(folder / "other.npy", case.other.array)} if case.other else {}),
                **({} if case.annotated is None else {"annotated": case.annotated}),
            }
            for name, array in (extra or {}).items():
                np.save(folder / f"extra-{name}.npy", array)
            sums = {file.name: checksum_of(file) for file in sorted(folder.iterdir())}
            text = json.dumps(facts, default=str)
            facts["checksums"] = sums | {"facts.json": checksum([text.encode()])}
            (folder / "facts.json").write_text(json.dumps(facts, default=str), encoding="utf-8")
        self._facts.pop(case.id, None)
        self._maps.forget(self._folder(case.id))

    def image(self, case_id: str) -> Scaled | np.ndarray:
        """The image (C, *S); slicing it reads only that part, as float32."""
        return self._scaled(case_id, "image", self.facts(case_id))

    def truth(self, case_id: str) -> Scaled | np.ndarray:
        """What is learned from a case: labels (1, *S), or an image or a field (C', *S) float32 of which parts are read.

        Raises:
            DataError: When the case has none.
        """
        if not self.has_target(case_id):
            return self.labels(case_id)
        return self._scaled(case_id, "target", self.facts(case_id)["target"])

    def has_target(self, case_id: str) -> bool:
        """Whether the truth of the case is an image or a field."""
        return "target" in self.facts(case_id)

    def other(self, case_id: str) -> Scaled | np.ndarray:
        """The second image (C, *S) of a case that has one; slicing it reads only that part, as float32."""
        return self._scaled(case_id, "other", self.facts(case_id).get("other", {"scale": None}))

    def is_labelled(self, case_id: str) -> bool:
        """Whether the case has a truth: labels, an image or a field."""
        return not {"voxels", "target"}.isdisjoint(self.facts(case_id))

    def annotated(self, case_id: str) -> tuple[str, ...] | None:
        """Names of the structures that were annotated in the case; None when all were."""
        names = self.facts(case_id).get("annotated")
        return None if names is None else tuple(names)

    def labels(self, case_id: str) -> np.ndarray:
        """The annotation (1, *S) in file values, memory-mapped.

        Raises:
            DataError: When the case has none.
        """
        return self._array(case_id, "labels")

    def extra(self, case_id: str, name: str) -> np.ndarray:
        """The further array of this name that was written with the case, memory-mapped."""
        return self._array(case_id, f"extra-{name}")

    def grid(self, case_id: str) -> Grid:
        """Where the prepared voxels lie."""
        return _GRID.validate_python(self.facts(case_id)["grid"])

    def source_grid(self, case_id: str) -> Grid:
        """Where the voxels of the files lie."""
        return _GRID.validate_python(self.facts(case_id)["source_grid"])

    def locations(self, case_id: str) -> dict[int, np.ndarray]:
        """For each label value that occurs (not 0) a sample of its voxels: (n, dims) indices, at most 10,000."""
        ranges = self.facts(case_id).get("places")
        if not ranges:
            return {}
        places = self._array(case_id, "places")
        return {int(value): places[begin:end] for value, (begin, end) in ranges.items()}

    def voxels(self, case_id: str) -> dict[int, int]:
        """How many voxels each label value has, background not among them."""
        return {int(value): count for value, count in self.facts(case_id).get("voxels", {}).items()}

    def facts(self, case_id: str) -> dict[str, Any]:
        """Everything about the case that is not an array."""
        known = self._facts.get(case_id)
        if known is None:
            path = self._folder(case_id) / "facts.json"
            try:
                known = load_json(regular(path).read_text(encoding="utf-8"))
                if not isinstance(known, dict):
                    raise ValueError("these are no facts")
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{path}: no prepared case can be read here ({error}); `hyoid prepare` makes it again."
                ) from error
            self._facts[case_id] = known
        return known

    def check(self, case_id: str) -> None:
        """Compare the files of a case with the checksums that were taken when they were written.

        Raises:
            DataError: Naming a file that is gone or has changed.
        """
        facts, folder = dict(self.facts(case_id)), self._folder(case_id)
        for name, expected in facts.pop("checksums", {"facts.json": None}).items():
            file = folder / name
            is_facts = name == "facts.json"
            found = checksum([json.dumps(facts).encode()]) if is_facts else _checksum_of(file)
            if found != expected:
                what = "is gone" if found is None else "has changed since it was written"
                raise DataError(f"{file}: this prepared file {what}; `hyoid prepare` makes it again.")

    def _folder(self, case_id: str) -> Path:
        return self.folder / quote(case_id, safe=" ()+,=@").replace(".", "%2E")

    def _array(self, case_id: str, name: str) -> np.ndarray:
        path = self._folder(case_id) / f"{name}.npy"
        try:
            return self._maps.array(path)
        except (OSError, ValueError) as error:
            why = f"{path}: {getattr(error, 'strerror', None) or 'this is no array'}"
            raise DataError(f"{case_id}: the prepared data set has no {name} for this case ({why}).") from error

    def _scaled(self, case_id: str, name: str, facts: Mapping[str, Any]) -> Scaled | np.ndarray:
        stored = self._array(case_id, name)
        if facts["scale"] is None:
            return stored
        return Scaled(stored, np.array(facts["scale"], np.float32), np.array(facts["offset"], np.float32))

    def __reduce__(self) -> tuple[Any, ...]:
        # Memory maps would travel to another process as copies.
        return (Store, (self.folder, self.ids))


def _write_image(path: Path, image: np.ndarray) -> dict[str, Any]:
    stored, scale, offset = pack(image)
    np.save(path, stored)
    return {"scale": None if scale is None else scale.tolist(), "offset": None if offset is None else offset.tolist()}


def _write_truth(folder: Path, case_id: str, truth: Image, numbered: bool) -> dict[str, Any]:
    if truth.kind != "labels":
        return {"target": {"kind": truth.kind, **_write_image(folder / "target.npy", truth.array)}}
    labels = truth.array.astype(smallest_type(truth.array))
    np.save(folder / "labels.npy", labels)
    places, counts = sample_places(labels[0], case_id, numbered)
    np.save(folder / "places.npy", np.concatenate([np.zeros((0, labels.ndim - 1), np.int32), *places.values()]))
    ends = np.cumsum([0, *map(len, places.values())]).tolist()
    return {"voxels": counts, "places": {v: (ends[i], ends[i + 1]) for i, v in enumerate(places)}}


class Source(Protocol):
    """A data set whose cases can be read one by one."""

    @property
    def cases(self) -> Sequence[Any]:
        """The entries, each with `id`, `images`, `label`, `target`, `other` and `annotated`."""

    def read(self, case_id: str, numbered: bool = False, other: bool = False) -> Case:
        """One case; with `numbered` its truth is the numbers of objects, with `other` it has its second image."""


Extra = Callable[[Case], np.ndarray]


def store_folder(
    settings: PreparationSettings, folder: str | Path, extra: Collection[str] = (), asked: Sequence[str] = ()
) -> Path:
    """Where, in a folder of stores, cases lie that are prepared in this way and keep these further arrays."""
    unused = {name for name in ("target", "before", "extent", "unit") if not getattr(settings, name)}
    chosen = settings.model_dump(mode="json", exclude=unused)  # so stores from before these settings stay valid
    return Path(folder) / _hash([chosen, sorted(extra), VERSION, *asked])


def prepare_all(
    dataset: Source,
    settings: PreparationSettings,
    folder: str | Path,
    workers: int = 2,
    extra: Mapping[str, Extra] | None = None,
    entries: Sequence[Any] | None = None,
    asked: Sequence[str] = (),
) -> Store:
    """Prepare every case that is not in the store yet.

    Args:
        dataset: Where the cases come from.
        settings: How they are prepared; other settings go to another folder beside.
        folder: Where stores lie; the one for these settings is a folder in it.
        workers: Threads; as many cases are in memory at once.
        extra: Further arrays to keep for each case with a truth, computed from the prepared case.
        entries: The cases; all annotated ones when None.
        asked: What else is kept: "numbered", labels are the numbers of objects; "other", second images.

    Raises:
        DataError: Naming the case that cannot be prepared; cases that were finished stay.
    """
    extra, entries = extra or {}, dataset.cases if entries is None else entries
    store = Store(store_folder(settings, folder, extra, asked), tuple(entry.id for entry in entries))
    keys = {entry.id: _source_key(dataset, entry) for entry in entries}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        flaws = list(track(pool.map(lambda i: _flaw(store.folder, i, keys[i]), store.ids), "check", len(store.ids)))
    waiting = [case_id for case_id, flaw in zip(store.ids, flaws, strict=True) if flaw is not None]
    for flaw in filter(None, flaws):
        log.warning("%s This is done now.", flaw)

    def one(case_id: str) -> None:
        if _flaw(store.folder, case_id, keys[case_id]) is None:
            return  # Another run that shares the store was faster.
        try:
            case = dataset.read(case_id, **dict.fromkeys(asked, True))
            prepared = prepare(case, settings)
            further = {name: make(prepared) for name, make in extra.items()} if case.truth else {}
            store.write(prepared, keys[case_id], case.image.grid, further, "numbered" in asked)
        except Exception as error:
            raise _naming(case_id, error) from error

    with sharing(store.folder / ".lock", [store.folder]):
        if not (store.folder / "settings.yaml").exists():
            settings.write(store.folder / "settings.yaml")
        for _ in track(_finished(one, waiting, workers), "prepare", len(waiting)):
            pass
    return store


def _finished(work: Callable[[str], None], items: list[str], workers: int) -> Iterator[str]:
    """The items as they are done by threads; at the first error those not begun are dropped."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        futures = {pool.submit(work, item): item for item in items}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        finally:
            pool.shutdown(cancel_futures=True)


def _naming(case_id: str, error: Exception) -> HyoidError:
    if isinstance(error, HyoidError):
        return error if case_id in str(error) else type(error)(f"{case_id}: {error}")
    return DataError(f"{case_id}: this case could not be prepared ({type(error).__name__}: {error}).")


def _flaw(folder: Path, case_id: str, key: str) -> str | None:
    """What is wrong with the files of a prepared case; nothing to tell where it was never made, or of another source.

    None when it is as it was written, from this source.
    """
    store = Store(folder, (case_id,))
    if not store._folder(case_id).exists():
        return ""
    try:
        facts = store.facts(case_id)
        if facts.get("version") != VERSION or facts.get("key") != key or "checksums" not in facts:
            return ""
        store.check(case_id)
    except DataError as error:
        return str(error)
    return None


def _checksum_of(file: Path) -> str | None:
    """The checksum of a file, computed once in a process unless the file is written again; None when it is gone."""
    try:
        stat = file.stat()
        return _summed(file, stat.st_size, stat.st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=1 << 17)
def _summed(file: Path, size: int, mtime_ns: int) -> str:
    return checksum_of(file)


def _source_key(dataset: Source, entry: Any) -> str:
    """Changes when a file of the case does, what its mask values mean, or which structures were annotated."""
    partly = [] if entry.annotated is None else [entry.annotated]
    return _hash([stats_of(entry), repr(getattr(dataset, "encoding", None)), VERSION, *partly])


def _hash(value: Any) -> str:
    return short_name(json.dumps(value, sort_keys=True, default=str))
