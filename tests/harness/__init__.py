"""What the tests with real servers and clients share."""
