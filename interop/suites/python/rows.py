"""Rows of the matrix, one line of JSON each, in the file that INTEROP_ROWS names."""

import json
import os
import traceback

SUITE = "python"


class Rows:
    def __init__(self, peer: str, version: str) -> None:
        self.peer = peer
        self.version = version
        self.failed: list[str] = []

    async def attempt(self, operation: str, function, result: str = "pass", evidence: str = "") -> None:
        """Tries an operation, which ends as `result` says if the function ends well."""
        try:
            await function()
        except Exception as error:  # whatever it is belongs into the row
            traceback.print_exc()
            result, evidence = "fail", f"{type(error).__name__}: {error}"
            self.failed.append(operation)
        row = {
            "suite": SUITE,
            "peer": self.peer,
            "version": self.version,
            "operation": operation,
            "result": result,
            "evidence": evidence,
        }
        with open(os.environ["INTEROP_ROWS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
