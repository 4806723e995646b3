"""What the emulator says it was asked."""

import json
import os
from urllib.parse import unquote


def answered(operation: str, status: int, part: str) -> list[dict]:
    """The requests of an operation that had this answer, with `part` in their path."""
    with open(os.environ["ACR_JOURNAL"], encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    return [
        entry
        for entry in entries
        if (entry["operation"], entry["status"]) == (operation, status)
        and part in unquote(entry["path"])
    ]
