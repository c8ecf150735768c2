"""The authority over HTTP (`authority-protocol.md` 1): thin handlers around the same decision as in process."""
