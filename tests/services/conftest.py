"""Services of `kind = "http"`: the servers that the samples are for, and the gateway before them."""

pytest_plugins = ["harness.fixtures"]
