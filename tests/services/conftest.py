"""Services of `kind = "http"`: the servers that the samples are for, and the gateway before them."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "clients"))

from servers import WORK


@pytest.fixture(scope="session")
def run_folder(request):
    """Of this run; stays when a test failed, with the servers' logs in it."""
    WORK.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="services-", dir=WORK))
    yield folder
    if request.session.testsfailed:
        print(f"\nthe servers' logs are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
