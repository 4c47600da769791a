"""The gateway before one server, by a service file of `config/services.d`."""

import subprocess

from servers import ROOT, Server, accepts, free_port, sceau


class Gateway:
    """In a directory that `sceau init` made, with the sample as its only service."""

    def __init__(self, folder, sample, addresses):
        """`addresses`: what stands in the sample, and what in its place; its host becomes `localhost`."""
        self.folder, port = folder, free_port()
        home = folder / "gateway"
        init = [sceau(), "init", home, "--host", "localhost", "--bind", f"127.0.0.1:{port}"]
        subprocess.run(init, check=True, capture_output=True)
        for old in (home / "services.d").iterdir():
            old.unlink()
        text = (ROOT / "config" / "services.d" / sample).read_text()
        for old, new in {**addresses, "UNIQUE": "1"}.items():
            assert old in text, f"{sample} does not hold {old}"
            text = text.replace(old, new)
        (home / "services.d" / sample.removesuffix(".disabled")).write_text(text)
        self.url, self.ca = f"https://localhost:{port}", home / "tls" / "ca.pem"
        self.server = Server("sceau", [sceau(), "run", "--config", home], port, folder)
        self.server.start(lambda: accepts(port))

    def stop(self):
        return self.server.stop()
