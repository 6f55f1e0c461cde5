"""Copy crds/ into the chart. A test keeps both equal; `make crds` runs this."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "charts" / "factotum-operator" / "files" / "crds"

for source in sorted((ROOT / "crds").glob("*.yaml")):
    shutil.copyfile(source, TARGET / source.name)
    print(f"{source.relative_to(ROOT)} -> {(TARGET / source.name).relative_to(ROOT)}")
