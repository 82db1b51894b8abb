"""Pages that are made from the code say what the code says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from afxvae.effects import EFFECTS, Effect
from afxvae.figures import DRAWINGS

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
FOLDER = REFERENCE / "effects"

every_effect = pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.name)


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make_effects_page.py"))


def test_the_pages_are_what_their_script_writes(script: dict[str, Any]) -> None:
    pages = script["pages"]()
    assert set(pages) == {REFERENCE / "effects.md", *FOLDER.glob("*.md")}
    for path, text in pages.items():
        written = path.read_text(encoding="utf-8")
        assert written == text, f"{path.name}: run python docs/make_effects_page.py"


@every_effect
def test_a_page_has_every_knob_and_a_figure(effect: Effect) -> None:
    page = (FOLDER / f"{effect.name}.md").read_text(encoding="utf-8")
    for param in effect.params:
        assert f"| `{param.name}`" in page
        assert f" {param.help} |" in page
    assert f"]({effect.name}.png)" in page


@every_effect
def test_an_example_does_something_within_the_ranges(
    effect: Effect, script: dict[str, Any]
) -> None:
    example = script["EXAMPLES"][effect.name]
    params = {param.name: param for param in effect.params}
    assert all(params[k].minimum <= value <= params[k].maximum for k, value in example.items())
    assert any(params[k].amount and value != params[k].default for k, value in example.items())


def test_every_effect_has_a_family_and_a_place(script: dict[str, Any]) -> None:
    names = [name for family in script["FAMILIES"].values() for name in family]
    assert sorted(names) == sorted(effect.name for effect in EFFECTS)
    assert set(script["EXAMPLES"]) == set(names)
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in names:
        assert f": reference/effects/{name}.md\n" in navigation
        assert f"[{name.replace('_', ' ')}](docs/reference/effects/{name}.md)" in readme


def test_the_figures_are_those_of_the_effects_and_small() -> None:
    figures = {path.stem: path.stat().st_size for path in FOLDER.glob("*.png")}
    assert set(figures) == {effect.name for effect in EFFECTS}
    assert max(figures.values()) < 40_000
    assert sum(figures.values()) < 1_000_000


def test_the_figures_of_the_latent_are_shown_and_small() -> None:
    page = ROOT / "docs" / "explanation" / "latent.md"
    shown = set(re.findall(r"\]\(latent/([\w-]+)\.png\)", page.read_text(encoding="utf-8")))
    figures = {path.stem: path.stat().st_size for path in page.with_suffix("").glob("*.png")}
    assert shown == set(figures) == {*DRAWINGS, "embeddings-umap"}
    assert max(figures.values()) < 150_000
