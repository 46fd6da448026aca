"""The report in a real browser: it opens without network, sorts, filters, shows cases, and complains of nothing."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.datasets.phantoms import write_phantoms
from hyoid.files.formats import read_image, write_image
from hyoid.workflow import evaluate, report, run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine; on Debian: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def page_of_run(tmp_path_factory):
    """The page of a short run in which one answer lacks a structure, its report, and the row of that failure."""
    folder = tmp_path_factory.mktemp("browser")
    data = write_phantoms(folder / "data", "organs", 8, 24)
    run(data, into=folder / "run", steps=2, changes=["planning.channels=[8,16]", "num_folds=2"])
    answer = sorted((folder / "run" / "predictions").glob("*.nii.gz"))[0]
    read = read_image(answer, "labels")
    reference = read_image(data / "labels" / answer.name, "labels")
    value = int(reference.array.max())
    emptied = np.where(read.array == value, 0, read.array)
    write_image(answer, Image(emptied, read.grid, "labels"))
    found = evaluate(folder / "run")
    [row] = [row for row in found.rows_of_case(answer.name.removesuffix(".nii.gz")) if row.finding == "missed"][-1:]
    return report(folder / "run"), found, row


@pytest.fixture
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def pixels(page, plane: int = 0) -> str:
    return page.evaluate(f"document.querySelectorAll('#viewer canvas')[{plane}].toDataURL()")


def test_the_report_works_in_a_browser_and_asks_for_nothing(page_of_run, browser):
    path, found, failure = page_of_run
    case, structure = failure.case, failure.structure
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))

    begin = time.perf_counter()
    page.goto(path.as_uri())
    assert time.perf_counter() - begin < 2
    assert page.locator(".light.failed").count() == 1
    assert any(structure in text and case in text for text in page.locator(".verdict li.failed").all_inner_texts())

    rows = page.locator("#case-table tbody tr:visible")
    assert rows.count() == len(found.cases)

    def scores() -> list[float]:
        column = page.evaluate("document.getElementById('score-column').cellIndex")
        rows = "[...document.querySelector('#case-table').tBodies[0].rows]"
        return page.evaluate(f"{rows}.map((row) => Number(row.cells[{column}].dataset.value))")

    assert scores() == sorted(scores())
    page.locator("#score-column").click()
    assert scores() == sorted(scores(), reverse=True)

    page.fill("input[name=text]", case)
    assert rows.count() == 1
    page.fill("input[name=text]", "")
    page.check("input[name=failures]")
    page.select_option("#case-tools select[name=structure]", label=structure)
    failed = [row.case for row in found.rows_of(structure) if row.finding in ("missed", "spurious")]
    assert sorted(row.get_attribute("data-case") for row in rows.all()) == sorted(failed)
    assert scores() == pytest.approx(sorted(row.values["dice"] for row in found.rows_of(structure)), abs=1e-4)
    assert page.locator("output[name=count]").inner_text().startswith(f"{len(failed)} ")

    page.locator(f"#case-table tr[data-case='{case}']").click()
    page.wait_for_function(f"document.getElementById('viewer').dataset.shown === '{case}'")
    assert page.locator("#viewer h2").inner_text() == case
    assert "missed" in page.locator("#viewer table").inner_text()
    seen = [pixels(page)]
    page.locator("#viewer input[name=opacity]").fill("0")
    seen.append(pixels(page))
    page.locator("#viewer input[name=reference]").uncheck()
    seen.append(pixels(page))
    page.locator("#viewer .stage figure:first-child input[type=range]").fill("0")
    page.locator("#viewer .stage figure:first-child canvas").hover()
    page.mouse.wheel(0, 100)
    page.wait_for_function("document.querySelector('#viewer .stage output').value.startsWith('2 of')")
    page.locator("#viewer header").click()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('#viewer .stage output').value.startsWith('3 of')")
    seen.append(pixels(page))
    assert len(set(seen)) == len(seen)
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()

    assert complaints == []
    assert requests == [path.as_uri(), *(url for url in requests[1:] if url.startswith("data:"))]


def test_the_page_opens_at_the_case_of_its_address(page_of_run, browser):
    path, _, failure = page_of_run
    case = failure.case
    page = browser.new_page(viewport={"width": 420, "height": 800})
    page.goto(f"{path.as_uri()}#view={case}")
    page.wait_for_function(f"document.getElementById('viewer').dataset.shown === '{case}'")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_two_folders_have_pictures_of_their_masks_and_a_case_to_look_into(page_of_run, browser, tmp_path):
    path, _, failure = page_of_run
    references = path.parents[1] / "data" / "labels"
    evaluate(path.parent / "predictions", _only_predicted(path.parent, references, tmp_path), into=tmp_path / "into")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "into" / "report.html").as_uri())
    assert page.locator(".slice img").count() == 3 * page.locator(".case").count() > 0
    page.locator(f"#case-table tr[data-case='{failure.case}']").click()
    page.wait_for_function(f"document.getElementById('viewer').dataset.shown === '{failure.case}'")
    seen = [pixels(page)]
    page.locator("#viewer input[name=reference]").uncheck()
    seen.append(pixels(page))
    page.locator("#viewer .stage figure:first-child input[type=range]").fill("0")
    seen.append(pixels(page))
    assert len(set(seen)) == len(seen)
    assert complaints == []


def _only_predicted(run_folder, references, tmp_path):
    """A folder with the references of the predicted cases."""
    kept = tmp_path / "references"
    kept.mkdir()
    for answer in (run_folder / "predictions").glob("*.nii.gz"):
        shutil.copy(references / answer.name, kept)
    return kept
