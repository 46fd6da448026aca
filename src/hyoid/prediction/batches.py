"""Many cases: the next one is read and the last one is written while one is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest

from ..core.case import Case, Image
from ..core.progress import stage
from .answering import Answering, Watch

Read = Callable[[str], Case]
Write = Callable[..., object]
"""Called with the case, its labels and, when they are wanted, its probabilities."""
Fail = Callable[[str, str], object]
"""Called with a case that failed and why, as soon as this is known; also from other threads."""


def predict_cases(
    predictor: Answering,
    ids: Sequence[str],
    read: Read,
    write: Write,
    fail: Fail,
    probabilities: bool = False,
    watch: Callable[[Case], Watch] | None = None,
) -> None:
    """Predict many cases; a broken one is passed to `fail` and does not stop the others.

    Args:
        predictor: What answers.
        ids: Names of the cases.
        read: Gives the case of a name.
        write: Keeps the labels of a case; called from another thread, one case at a time.
        fail: Called for each case that fails.
        probabilities: Whether `write` is given the probabilities too.
        watch: Gives what looks at the probabilities of a case part by part, where only little of them is to be kept.
    """
    with (
        ThreadPoolExecutor(1, "reader") as reader,
        ThreadPoolExecutor(1, "writer") as writer,
        stage("predict", len(ids)) as progress,
    ):
        load = partial(_load, predictor, read, fail)
        waiting: Future[tuple[Case, Image] | None] | None = reader.submit(load, ids[0]) if ids else None
        writing: Future[None] | None = None
        for case_id, following in zip_longest(ids, ids[1:]):
            assert waiting is not None
            current, waiting = waiting, reader.submit(load, following) if following is not None else None
            told = 0.0

            def advance(share: float) -> None:
                nonlocal told
                told += share
                progress.advance(share, case_id)  # noqa: B023

            loaded = current.result()
            if loaded is not None:
                with failing(case_id, fail):
                    case, prepared = loaded
                    if probabilities:
                        answers: tuple[Image, ...] = predictor.predict_probabilities(case, prepared, advance)
                    else:
                        answers = (predictor.predict(case, prepared, advance, watch(case) if watch else None),)
                    if writing is not None:
                        writing.result()
                    writing = writer.submit(_keep, write, fail, case_id, case, *answers)
            progress.advance(1 - told, case_id)
        if writing is not None:
            writing.result()


@contextmanager
def failing(case_id: str, fail: Fail) -> Iterator[None]:
    """Work on a case; a failure is passed to `fail`, and goes no further."""
    try:
        yield
    except Exception as error:
        fail(case_id, " ".join(str(error).split()) or type(error).__name__)


def _load(predictor: Answering, read: Read, fail: Fail, case_id: str) -> tuple[Case, Image] | None:
    with failing(case_id, fail):
        case = read(case_id)
        return case, predictor.prepared(case)
    return None


def _keep(write: Write, fail: Fail, case_id: str, case: Case, *answers: Image) -> None:
    with failing(case_id, fail):
        write(case, *answers)
