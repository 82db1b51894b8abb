"""Pages that are made from the code say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from afxvae import default_chain

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_effects_page_is_what_its_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(DOCS / "make_effects_page.py"), run_name="__main__")
    printed = capsys.readouterr().out
    page = (DOCS / "reference" / "effects.md").read_text(encoding="utf-8")
    assert page == printed, "run: python docs/make_effects_page.py > docs/reference/effects.md"


def test_the_effects_page_has_every_knob() -> None:
    page = (DOCS / "reference" / "effects.md").read_text(encoding="utf-8")
    for effect, param in default_chain().knobs:
        section = page.split(f"## `{effect}`")[1].split("\n## ")[0]
        assert f"| `{param.name}`" in section
        assert f" {param.help} |" in section
