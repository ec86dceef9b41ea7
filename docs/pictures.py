"""Takes the pictures of `docs/images` from a running stack: `make pictures`, after `make demo`.

Each picture is an entry below: where it is taken, what must be seen before, and what is clicked and filled in
first. Nothing is sent: forms are filled in and left.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Locator, Page

    from deploy.embedded.stack import Stack
    from evergreen import Model, Pipeline

REPOSITORY = Path(__file__).resolve().parents[1]
IMAGES = REPOSITORY / "docs" / "images"
MOST_BYTES = 200_000
_PIPELINES = ("bike_demand", "iris", "wine_segments")
_PIPELINE = _PIPELINES[0]
_FIRST, _LAST = "2011-05-18", "2011-05-31"  # the two weeks after the demo's
_WAIT = 120_000.0  # milliseconds: a busy machine renders Airflow's pages slowly


@dataclass(frozen=True)
class Demo:
    """What the demo has left: its stack, Airflow's address, and its pipeline."""

    stack: Stack

    @property
    def url(self) -> str:
        """The address of Airflow's UI."""
        from deploy.embedded import airflow

        return airflow.url(self.stack.ports)

    @cached_property
    def training(self) -> str:
        """The newest run of a training that promoted its version."""
        from deploy.embedded.airflow_api import AirflowApi

        api = AirflowApi.of(self.stack)
        runs = api.runs(f"{_PIPELINE}_train")
        return next(run.run_id for run in runs if api.tasks(run).get("promote") == "success")

    @cached_property
    def pipeline(self) -> Pipeline:
        """The demo's pipeline."""
        import evergreen

        return evergreen.open(_PIPELINE)

    @cached_property
    def champion(self) -> Model:
        """The challenger that became champion: its card compares the two."""
        return self.pipeline.champion()


@dataclass(frozen=True)
class Picture:
    """One picture: `docs/images/<name>.png`, of a window of `width` and `height` pixels.

    `open` brings the page to what is to be seen; it waits for content. `part` is what of the page is taken:
    all that the window shows, or one element.
    """

    name: str
    open: Callable[[Page, Demo], None]
    width: int = 1280
    height: int = 860
    part: Callable[[Page], Locator] | None = None

    @property
    def file(self) -> Path:
        """Where it is stored."""
        return IMAGES / f"{self.name}.png"


def _dags(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/dags?limit=50&sort=dag_id")
    page.get_by_role("button", name="Show table view").click()
    for pipeline in _PIPELINES:
        for stage in ("ingest", "monitor", "score", "train"):
            page.get_by_role("link", name=f"{pipeline}_{stage}", exact=True).wait_for()


def _train(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/dags/{_PIPELINE}_train/runs/{demo.training}")
    page.get_by_role("button", name="Show Graph").click()
    graph = page.locator(".react-flow")
    for task in ("build_training_set", "train", "evaluate", "gate", "promote"):
        graph.get_by_text(task, exact=True).wait_for()
    page.get_by_text("Task Instances").wait_for()


def _card(page: Page, demo: Demo) -> None:
    page.set_content(demo.champion.card.html)
    page.get_by_role("heading", name="Against the champion").wait_for()


def _data_docs(page: Page, demo: Demo) -> None:
    frame = _plugin(page, demo, "data-docs")
    frame.get_by_role("link", name=_PIPELINE).click()
    frame.get_by_text("partitions validated").wait_for()


def _models(page: Page, demo: Demo) -> None:
    frame = _plugin(page, demo, "models")
    for pipeline in _PIPELINES:
        frame.get_by_role("link", name=pipeline, exact=True).wait_for()


def _models_pipeline(page: Page, demo: Demo) -> None:
    _models(page, demo)
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name=_PIPELINE, exact=True).click()
    frame.get_by_role("heading", name=_PIPELINE).wait_for()


def _models_version(page: Page, demo: Demo) -> None:
    _models_pipeline(page, demo)
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name=demo.champion.version).first.click()
    frame.get_by_text(demo.champion.version).first.wait_for()


def _form(page: Page) -> Locator:
    return page.get_by_role("dialog")


def _range(page: Page, demo: Demo) -> None:
    form = _ingest_form(page, demo)
    form.locator("[name=element_partition]").fill(_FIRST)
    form.locator("[name=element_to]").fill(_LAST)


def _backfill(page: Page, demo: Demo) -> None:
    form = _ingest_form(page, demo)
    form.get_by_text("Backfill", exact=True).click()
    for number, day in enumerate((_FIRST, _LAST)):
        form.get_by_test_id("datetime-input").nth(number).click()
        date = page.get_by_placeholder("YYYY/MM/DD").locator("visible=true")
        date.fill(day.replace("-", "/"))
        date.press("Escape")
        date.wait_for(state="detached")
    form.get_by_text("Missing and Errored Runs").click()
    form.get_by_role("button", name="Run Parameters").click()
    form.locator("[name=element_partition]").wait_for(state="hidden")


PICTURES = (
    Picture("dags", _dags, width=1440, height=1060),
    Picture("train", _train, width=1440, height=820),
    Picture("card", _card, width=1080, height=1000),
    Picture("data-docs", _data_docs),
    Picture("models", _models),
    Picture("models-pipeline", _models_pipeline, height=1100),
    Picture("models-version", _models_version, height=800),
    Picture("range-form", _range, part=_form),
    Picture("backfill-form", _backfill, height=960, part=_form),
)


def _plugin(page: Page, demo: Demo, route: str) -> FrameLocator:
    page.goto(f"{demo.url}/plugin/{route}")
    return page.frame_locator("iframe")


def _ingest_form(page: Page, demo: Demo) -> Locator:
    page.goto(f"{demo.url}/dags/{_PIPELINE}_ingest")
    page.get_by_role("button", name="Trigger").first.click()
    form = _form(page)
    form.get_by_text("Backfill", exact=True).wait_for()
    return form


def take(demo: Demo, browser: Browser, pictures: tuple[Picture, ...]) -> None:
    """Take the pictures, each in a tab of one visitor who has logged in; the light theme, as GitHub's."""
    from playwright.sync_api import Error

    context = browser.new_context(color_scheme="light", timezone_id="UTC", locale="en")
    context.set_default_timeout(_WAIT)
    page = context.new_page()
    _log_in(page, demo)
    for picture in pictures:
        page.set_viewport_size({"width": picture.width, "height": picture.height})
        try:
            picture.open(page, demo)
            page.wait_for_load_state("networkidle")
        except Error as error:
            raise SystemExit(f"{picture.name}: {error}") from None
        shown = picture.part(page) if picture.part else page
        size = len(shown.screenshot(path=picture.file, animations="disabled", caret="hide"))
        print(f"{picture.file.relative_to(REPOSITORY)}  {size:,} bytes", flush=True)
        if size > MOST_BYTES:
            raise SystemExit(f"{picture.name} has more than {MOST_BYTES:,} bytes: show less")


def _log_in(page: Page, demo: Demo) -> None:
    from deploy.embedded import airflow

    page.goto(f"{demo.url}/auth/login")
    page.get_by_label("Username").fill(airflow.ADMIN)
    page.get_by_label("Password").fill(demo.stack.secrets.admin_password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{demo.url}/")


def main(names: list[str]) -> None:
    """Take the pictures of these names, or all."""
    from deploy.embedded.home import Home
    from deploy.embedded.stack import Stack
    from tests.browser.chromium import launched

    stack = Stack.of(Home.from_environment())
    stack.require_running()
    chosen = tuple(picture for picture in PICTURES if not names or picture.name in names)
    with launched() as browser:
        take(Demo(stack), browser, chosen)


if __name__ == "__main__":
    main(sys.argv[1:])
