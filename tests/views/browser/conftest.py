"""Chromium and a JupyterLab that touches nothing of the user's: the parts that every browser test shares."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ipykernel.kernelspec import write_kernel_spec

ERRORS = """() => jupyterapp.shell.currentWidget.model.toJSON().cells.flatMap(cell => cell.outputs ?? [])
    .filter(output => output.output_type === "error").map(output => `${output.ename}: ${output.evalue}`)"""


def _missing(what: str, hint: str) -> None:
    message = f"{what} not found: {hint}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A headless Chromium of the system, driven by Playwright."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        _missing("Chromium", "apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("Playwright", 'pip install -e ".[dev]"')
    switches = [
        "--no-sandbox",
        "--disable-gpu",
        "--force-color-profile=srgb",
        "--disable-background-networking",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=switches)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a running JupyterLab and the notebooks folder of the temporary project that it serves."""
    folder = tmp_path_factory.mktemp("lab")
    notebooks, settings = folder / "project/notebooks", folder / "settings/@jupyterlab/apputils-extension"
    notebooks.mkdir(parents=True)
    settings.mkdir(parents=True)
    news = '{"fetchNews": "false", "checkForUpdates": false}'  # its question would cover the notebook
    (settings / "notification.jupyterlab-settings").write_text(news, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = os.environ | {name: str(folder / name) for name in names}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
    environment |= {"JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
    write_kernel_spec(folder / "share/kernels/python3")  # the interpreter that runs the tests
    environment |= {"JUPYTER_PATH": str(folder / "share")}
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
    ]
    options += [
        "--IdentityProvider.token=test",
        f"--ServerApp.root_dir={notebooks.parent}",
        "--expose-app-in-browser",
    ]
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *options], env=environment, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api/status?token=test", server, folder / "log.txt")
        yield address, notebooks
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(300):
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


@pytest.fixture(scope="session")
def open_notebook(chromium, lab) -> Iterator[Callable]:
    """`open_notebook(path)`: runs a copy of a notebook in JupyterLab and returns its page.

    A cell's error fails the test. `page.problems` collects what `watch` sees.
    """
    address, folder = lab
    pages = []

    def open_copy(path: Path, *, run: bool = True, **options: object):
        shutil.copy(path, folder / path.name)
        page = chromium.new_page(**{"viewport": {"width": 1280, "height": 900}} | options)
        pages.append(page)
        watch(page, (address, "data:", "blob:"))
        page.goto(f"{address}/doc/tree/notebooks/{path.name}?token=test&reset")
        page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext")
        session = "jupyterapp.shell.currentWidget.sessionContext"
        page.evaluate(f"async () => {{ await {session}.ready; await {session}.session?.kernel?.info }}")
        if run:
            finished = page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
            assert page.evaluate(ERRORS) == []
            assert finished is True
        return page

    yield open_copy
    for page in pages:
        page.close()


def watch(page, allowed: tuple[str, ...]) -> None:
    """Refuse requests that do not begin with one of `allowed`; note them and script errors as problems."""
    page.problems = []

    def refuse(route) -> None:
        page.problems.append(f"request: {route.request.url}")
        route.abort()

    page.route(lambda url: not url.startswith(allowed), refuse)
    page.on("pageerror", lambda error: page.problems.append(f"script error: {error}"))
