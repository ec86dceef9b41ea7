"""Run in the environment of the converters: `python -m evergreen.export.converter FOLDER`.

The folder holds `request.json`, `features.parquet` with the golden rows, and a file of the model. The result
is put into its subfolder `made`. What the result says of the golden rows is put into `answers.json`, but for
ONNX, which is read where the golden sample is held. Of Evergreen nothing is imported that needs more than
this environment has.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path


def main(folder: Path) -> None:
    """Convert what the request asks for, by the module of its format."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    (folder / "made").mkdir()
    import_module(f"evergreen.export.to_{request['to']}").convert(folder, request)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
