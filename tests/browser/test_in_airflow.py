"""Served pages in a frame as Airflow's: they follow its theme, and lead out of the frame to its own pages."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from evergreen_airflow.served_page import headers, with_script
from tests.browser.conftest import Open
from tests.browser.pages import PAGES
from tests.unit.models_site import test_pages as models

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

SERVED = {
    "/night": PAGES["a night that passed"],
    "/index": PAGES["index"],
    "/card": PAGES["card of a regression"],
    "/report": PAGES["night report"],
    "/models": models.page,
    "/version": lambda: models.version(PAGES["card of a regression"]()),
}
FRAME = (
    '<!doctype html><html class="{theme}"><body><iframe src="{page}" '
    'sandbox="allow-scripts allow-same-origin allow-forms allow-downloads"></iframe></body></html>'
)
LIGHT, DARK = "rgb(247, 250, 247)", "rgb(17, 23, 19)"
PAPER = "getComputedStyle(document.body).backgroundColor"


class Sites(BaseHTTPRequestHandler):
    """Pages as the API server sends them, and `/in/<theme>/<page>`, which frames one as Airflow does."""

    def do_GET(self) -> None:
        page = SERVED.get(self.path)
        body, sent = (with_script(page()), headers()) if page else (self.around().encode(), {})
        self.send_response(200)
        for name, value in {"Content-Type": "text/html; charset=utf-8", **sent}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def around(self) -> str:
        _, place, theme, page = (*self.path.split("/"), "", "")[:4]
        return FRAME.format(theme=theme, page=f"/{page}") if place == "in" else "<title>a DAG</title>"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a running server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Sites) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def framed(shown: Page, address: str) -> Frame:
    shown.goto(address)
    return shown.frames[1]


def turns(frame: Frame, paper: str) -> None:
    """Wait until the page has the background, which a browser does a moment after the theme's change."""
    frame.wait_for_function(f"{PAPER} === {paper!r}", timeout=5000)


@pytest.mark.parametrize("page", SERVED)
def test_each_page_has_the_theme_of_airflow_and_not_the_systems(tab: Open, site: str, page: str) -> None:
    assert framed(tab("light"), f"{site}/in/dark{page}").evaluate(PAPER) == DARK
    assert framed(tab("dark"), f"{site}/in/light{page}").evaluate(PAPER) == LIGHT


def test_it_turns_with_airflows_switch(tab: Open, site: str) -> None:
    shown = tab("light")
    frame = framed(shown, f"{site}/in/dark/models")
    for theme, paper in (("light", LIGHT), ("dark", DARK)):
        shown.evaluate(f"document.documentElement.className = '{theme}'")
        turns(frame, paper)


def test_in_a_tab_of_its_own_it_has_the_theme_that_airflow_kept(tab: Open, site: str) -> None:
    shown = tab("light")
    shown.goto(f"{site}/card")
    assert shown.evaluate(PAPER) == LIGHT
    airflow = shown.context.new_page()
    airflow.goto(f"{site}/dags/")
    for kept, paper in (("dark", DARK), ("system", LIGHT)):
        airflow.evaluate(f"localStorage.setItem('theme', '{kept}')")
        turns(shown.main_frame, paper)


@pytest.mark.parametrize(("theme", "paper"), [("light", LIGHT), ("dark", DARK)])
def test_without_script_it_has_the_systems_theme(tab: Open, site: str, theme: str, paper: str) -> None:
    shown = tab(theme, java_script_enabled=False)
    frame = framed(shown, f"{site}/in/dark/models")
    assert frame.evaluate(PAPER) == paper


def test_a_link_to_a_dag_leaves_the_frame(tab: Open, site: str) -> None:
    shown = tab()
    framed(shown, f"{site}/in/dark/models").click('a[href="/dags/kiosk_train"]')
    shown.wait_for_url(f"{site}/dags/kiosk_train")
    assert shown.title() == "a DAG"


def test_a_link_to_another_site_does_not(tab: Open, site: str) -> None:
    shown = tab()
    frame = framed(shown, f"{site}/in/dark/models")
    frame.evaluate("document.querySelector('a[target]').href = 'http://localhost:9/'")
    frame.click("a[target]")
    shown.wait_for_timeout(200)
    assert shown.url == f"{site}/in/dark/models"


def test_no_other_script_runs(tab: Open, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = "<head><script>document.title = 'ran'</script></head><body onload='document.title += 1'>a</body>"
    monkeypatch.setitem(SERVED, "/forged", lambda: forged)
    frame = framed(tab("light"), f"{site}/in/dark/forged")
    assert frame.evaluate("[document.title, document.documentElement.style.colorScheme]") == ["", "dark"]
