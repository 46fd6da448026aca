"""Our nets beside the public code of their authors: the same weights, the same image, the largest difference.

    python benchmarks/oracles [--from FOLDER] [NAME ...]

FOLDER holds checkouts of public repositories, each under its own name; docs/concepts/oracles.md lists them with their
commits. NAME is a file of `repositories/`, or a row of the shelf; without names all are compared. What is not there is
named and skipped. In FOLDER/site may be packages that some of them need and hyoid does not. Ends with 1 when a
comparison does not come out as its file says.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import ModuleType

from comparing import Comparison, compare
from standins import STAND_IN

HERE = Path(__file__).parent


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """Modules of these folders can be imported; afterwards they are forgotten, for others have the same names."""
    before, paths = set(sys.modules), list(sys.path)
    sys.path[:0] = map(str, folders)
    try:
        yield
    finally:
        sys.path[:] = paths
        for name in [name for name in set(sys.modules) - before if _comes_from(sys.modules[name], folders)]:
            del sys.modules[name]


def _comes_from(module: ModuleType, folders: Sequence[Path]) -> bool:
    """Whether a module stands in these folders, or stands in for one."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
    return any(str(place).startswith((STAND_IN, *map(str, folders))) for place in places)


def judged(one: Comparison) -> bool:
    """Print the line of a comparison; whether it came out as its file says."""
    try:
        with redirect_stdout(StringIO()):  # some nets talk while they are built
            found = compare(one)
    except (ValueError, RuntimeError) as error:
        print(f"{one.row:20} {'':8}  {one.what}: no answer to compare, {error}", flush=True)
        return bool(one.differs)
    notes = [one.what, f"differs: {one.differs}"] if one.differs else [one.what]
    if found.unmatched:
        notes.append(f"{len(found.unmatched)} tensors without counterpart, first {found.unmatched[0]}")
    counts = f"{found.theirs:>11,} {found.ours:>11,}"
    print(f"{one.row:20} {found.difference:8.1e}  {counts}  {'; '.join(notes)}", flush=True)
    return found.equal == (not one.differs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="repositories or rows; all when none is given")
    parser.add_argument("--from", dest="folder", type=Path, default=Path("oracles"), help="folder of the checkouts")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    folder, wanted, failed = given.folder.resolve(), set(given.names), []
    known = sorted(path.stem for path in (HERE / "repositories").glob("*.py"))
    print(f"{'row':20} {'differs':8}  {'theirs':>11} {'ours':>11}  what")
    seen: set[str] = set()
    for name in known:
        part = import_module(f"repositories.{name}")
        root = folder / part.REPOSITORY.rpartition("/")[2]
        if wanted and name not in wanted and not wanted & set(part.ROWS):
            continue
        seen |= {name, *part.ROWS}
        if not root.exists():
            print(f"{', '.join(part.ROWS)}: skipped, no checkout of github.com/{part.REPOSITORY} in {folder}")
            continue
        with importable(root, folder / "site"):
            try:
                for one in part.comparisons(root):
                    if not wanted or name in wanted or one.row in wanted:
                        failed += [] if judged(one) else [f"{name}: {one.row}"]
            except ImportError as error:
                print(f"{', '.join(part.ROWS)}: skipped, {part.REPOSITORY} does not import: {error}")
    if wanted - seen:
        sys.exit(f"error: no oracle for {', '.join(sorted(wanted - seen))}; there are {', '.join(known)}")
    if failed:
        sys.exit(f"error: not as its file says: {', '.join(failed)}")


if __name__ == "__main__":
    main()
