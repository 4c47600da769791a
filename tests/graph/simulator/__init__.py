"""Microsoft Graph, SharePoint and the upload hosts beside them, as far as the tests need them; ../README.md says how far that is."""
