"""Reads thousands of damaged files: no process may die or hang, no error may be a raw one, no loss may pass in silence.

    python tests/soak/fuzz.py [--mutants 10500] [--seed 1] [--keep FOLDER]

Mutants of the seeds are read by processes that are kept, so that a mutant costs milliseconds. Exit code 1 when
one of them did what it must not; these stay in the folder given by `--keep`.
"""

import argparse
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from soak import mutants as damage
from soak import seeds

SECONDS = 10
MEGABYTES = 1000


class Reader:
    """A process that reads files; another takes its place when it dies or is stopped."""

    process: subprocess.Popen | None = None

    def ask(self, task: str, path: Path) -> dict:
        """What came of reading: `outcome`, `words`, `megabytes`."""
        if self.process is None:
            self._start()
        with contextlib.suppress(BrokenPipeError):  # it ends with the pipe of answers as well
            self.process.stdin.write(json.dumps([task, str(path)]) + "\n")
            self.process.stdin.flush()
        if not self._answers_in_time():
            self.stop()
            return {"outcome": "hang", "words": [f"more than {SECONDS} s"], "megabytes": 0}
        line = self.answers.readline()
        if not line:
            code = self.process.wait()
            self.stop()
            return {"outcome": "abort", "words": [f"exit code {code}"], "megabytes": 0}
        return json.loads(line)

    def _answers_in_time(self) -> bool:
        """Whether an answer comes before so many seconds of work; on a machine that is busy these take longer."""
        work, limit = psutil.Process(self.process.pid), time.monotonic() + 6 * SECONDS
        before = sum(work.cpu_times()[:2])
        while not select.select([self.answers], [], [], 1.0)[0]:
            if time.monotonic() > limit or sum(work.cpu_times()[:2]) > before + SECONDS:
                return False
        return True

    def _start(self) -> None:
        reading, writing = os.pipe()
        command = [sys.executable, str(Path(__file__).with_name("reader.py")), str(writing)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            pass_fds=[writing],
        )
        os.close(writing)
        self.answers = os.fdopen(reading)
        self.answers.readline()  # its libraries are there

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.answers.close()
            self.process = None


@dataclass
class Seed:
    """A whole file or data set, what is asked of it, and what was read from it."""

    name: str
    folder: Path
    task: str
    whole: list[str] = field(default_factory=list)

    @property
    def target(self) -> Path:
        """What is read, as a path within the folder."""
        if self.task == "dataset":
            return Path()
        return min(self.folder.iterdir()).relative_to(self.folder)

    @property
    def files(self) -> list[Path]:
        """What may be damaged: tables first of all, where there are any."""
        found = sorted(path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return [path for path in found if path.suffix in (".csv", ".yaml", ".json")] if self._is_table else found

    @property
    def _is_table(self) -> bool:
        return self.task != "image" and self.name != "dataset"


def plant(folder: Path, only: str = "") -> list[Seed]:
    """Lay every seed whose name begins so into a folder of its own, and read each whole."""
    reader, planted = Reader(), []
    tasks = dict.fromkeys(seeds.IMAGES, "image") | dict.fromkeys(seeds.TABLES, "dataset") | {"experiment": "experiment"}
    for name, make in {**seeds.IMAGES, **seeds.TABLES, "experiment": seeds.experiment}.items():
        if not name.startswith(only):
            continue
        (folder / name).mkdir(parents=True)
        make(folder / name)
        seed = Seed(name, folder / name, tasks[name])
        answer = reader.ask(seed.task, seed.folder / seed.target)
        assert answer["outcome"] == "read", (name, answer)
        seed.whole = answer["words"]
        planted.append(seed)
    reader.stop()
    return planted


def attempt(reader: Reader, seed: Seed, number: int, scratch: Path) -> tuple[str, str]:
    """What came of a mutant, "" when nothing is wrong with it, and how it was made."""
    draw = Random(number)
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(seed.folder, scratch)
    file = draw.choice(seed.files)
    how = draw.choice(damage.MUTATIONS)
    if how is damage.cut and seed.name.startswith("zarr") and draw.random() < 0.3:
        (scratch / file).unlink()
        told = f"{seed.name} {file} removed"
    else:
        data = bytearray((scratch / file).read_bytes())
        how(data, draw)
        (scratch / file).write_bytes(data)
        told = f"{seed.name} {file} {how.__name__}"
    task = seed.task
    if draw.random() < 0.15:
        task = "labels" if task == "image" and draw.random() < 0.5 else "inspect" if task != "experiment" else task
    answer = reader.ask(task, scratch / seed.target)
    return _fault(
        answer, how is damage.cut and task == "image", seed
    ), f"{told} ({task}): {' '.join(answer['words'])[:300]}"


def _fault(answer: dict, lost: bool, seed: Seed) -> str:
    """What is wrong with an answer to a mutant that lost its end or not; empty when nothing is."""
    outcome, words = answer["outcome"], answer["words"]
    if outcome in ("abort", "hang", "raw"):
        return outcome
    if answer["megabytes"] > MEGABYTES or (outcome == "refused" and "not enough memory" in words[0]):
        return "memory"
    if outcome == "refused" and (("\n" in words[0] and seed.task != "experiment") or "should not happen" in words[0]):
        return "unclear"
    if outcome == "read" and lost and words[0] != seed.whole[0] and "missing" not in " ".join(words):
        return "silent"
    return ""


def fuzz(
    count: int, seed: int, keep: Path | None = None, workers: int = 2, within: float = float("inf"), only: str = ""
) -> Counter:
    """How many mutants did what they must not, by kind; `mutants` counts all that were read within these seconds."""
    counts: Counter[str] = Counter()
    end = time.monotonic() + within
    with tempfile.TemporaryDirectory() as folder:
        planted = plant(Path(folder) / "seeds", only)

        def work(worker: int) -> None:
            reader, scratch = Reader(), Path(folder) / str(worker)
            for number in range(worker, count, workers):
                if time.monotonic() > end:
                    break
                fault, told = attempt(reader, planted[number % len(planted)], seed * 1_000_003 + number, scratch)
                counts["mutants"] += 1
                if fault:
                    counts[fault] += 1
                    print(f"{fault}: {number} {told}", flush=True)
                    if keep:
                        shutil.copytree(scratch, keep / f"{fault}_{number}", dirs_exist_ok=True)
            reader.stop()

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
    return counts


def main() -> None:
    """Read the number of mutants asked for, and say what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=10_500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", default="", help="seeds whose name begins so")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    begun = time.monotonic()
    counts = fuzz(given.mutants, given.seed, given.keep, given.workers, only=given.only)
    print(dict(counts), f"{time.monotonic() - begun:.0f} s")
    sys.exit(len(counts) > 1)


if __name__ == "__main__":
    main()
