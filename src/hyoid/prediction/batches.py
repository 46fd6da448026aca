"""Many cases: the next one is read and the last one is written while one is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import zip_longest

from ..core.case import Case, Image
from ..core.progress import log, stage
from .predictor import Predictor, Watch

Read = Callable[[str], Case]
Write = Callable[..., object]
"""Called with the case, its labels and, when they are wanted, its probabilities."""


def predict_cases(
    predictor: Predictor,
    ids: Sequence[str],
    read: Read,
    write: Write,
    probabilities: bool = False,
    watch: Callable[[Case], Watch] | None = None,
) -> dict[str, str]:
    """Predict many cases; a broken one is reported and does not stop the others.

    Args:
        predictor: What answers.
        ids: Names of the cases.
        read: Gives the case of a name.
        write: Keeps the labels of a case; called from another thread, one case at a time.
        probabilities: Whether `write` is given the probabilities too.
        watch: Gives what looks at the probabilities of a case part by part, where only little of them is to be kept.

    Returns:
        For each case that failed, why.
    """
    failures: dict[str, str] = {}
    with (
        ThreadPoolExecutor(1, "reader") as reader,
        ThreadPoolExecutor(1, "writer") as writer,
        stage("predict", len(ids)) as progress,
    ):
        load = lambda case_id: _load(predictor, read, case_id)  # noqa: E731
        waiting: Future[tuple[Case, Image]] | None = reader.submit(load, ids[0]) if ids else None
        writing: tuple[str, Future[object]] | None = None
        for case_id, following in zip_longest(ids, ids[1:]):
            assert waiting is not None
            current, waiting = waiting, reader.submit(load, following) if following is not None else None
            told = 0.0

            def advance(share: float) -> None:
                nonlocal told
                told += share
                progress.advance(share, case_id)  # noqa: B023

            try:
                case, prepared = current.result()
                answers: tuple[Image, ...]
                if probabilities:
                    answers = predictor.predict_probabilities(case, prepared, advance)
                else:
                    answers = (predictor.predict(case, prepared, advance, watch(case) if watch else None),)
                _finish(writing, failures)
                writing = case_id, writer.submit(write, case, *answers)
            except Exception as error:
                failures[case_id] = _reason(error)
            progress.advance(1 - told, case_id)
        _finish(writing, failures)
    for case_id, reason in failures.items():
        _tell(case_id, reason)
    return failures


@contextmanager
def failing(case_id: str, failures: dict[str, str]) -> Iterator[None]:
    """Work on a case; when it fails this is told and kept, and goes no further."""
    try:
        yield
    except Exception as error:
        failures[case_id] = _reason(error)
        _tell(case_id, failures[case_id])


def _tell(case_id: str, reason: str) -> None:
    log.warning("%s was not predicted: %s", case_id, reason)


def _load(predictor: Predictor, read: Read, case_id: str) -> tuple[Case, Image]:
    case = read(case_id)
    return case, predictor.prepared(case)


def _finish(writing: tuple[str, Future[object]] | None, failures: dict[str, str]) -> None:
    if writing is not None:
        error = writing[1].exception()
        if error is not None:
            failures[writing[0]] = _reason(error)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
