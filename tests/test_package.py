"""The package as a whole: what importing it costs, what it names, and what its papers say."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import afxvae

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
HEAVY = ("torch", "torchaudio")
REPORT = (
    "import atexit, json, sys; "
    f"atexit.register(lambda: print(json.dumps([m for m in {HEAVY} if m in sys.modules]), "
    "file=sys.stderr)); "
)


def fresh(code: str) -> tuple[subprocess.CompletedProcess[str], list[str], float]:
    """Run `code` in a new Python: the process, the heavy modules it loaded, its seconds."""
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", REPORT + code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    assert process.returncode == 0, process.stderr
    return process, json.loads(process.stderr.splitlines()[-1]), seconds


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import afxvae", ""),
        (
            "sys.argv = ['afxvae', '--help']; from afxvae.cli import main; sys.exit(main())",
            "match",
        ),
    ],
    ids=["import afxvae", "afxvae --help"],
)
def test_starts_light_and_fast(code: str, says: str) -> None:
    runs = [fresh(code) for _ in range(3)]
    assert says in runs[0][0].stdout
    assert runs[0][1] == []
    assert min(seconds for _, _, seconds in runs) < 1.0


def test_every_public_name_can_be_imported() -> None:
    assert sorted(afxvae.__all__) == sorted({*afxvae._HOMES, "__version__"})
    assert set(afxvae.__all__) <= set(dir(afxvae))
    for name in afxvae.__all__:
        getattr(afxvae, name)


def test_public_names_are_those_of_their_rooms() -> None:
    for name, home in afxvae._HOMES.items():
        assert getattr(afxvae, name) is getattr(sys.modules[home], name)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'afxvae' has no attribute 'Presset'"):
        _ = afxvae.Presset


def test_changelog_is_about_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    assert releases[0] == afxvae.__version__


def test_readme_commands_are_the_ones_that_run() -> None:
    commands = re.findall(r"^pip install .*$", README, re.MULTILINE)
    assert [command.split(" && ")[-1] for command in commands] == ["afxvae demo", "python -m tests"]
    extras = re.search(r"\[([\w,]+)\]", commands[1])
    assert extras
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])


def test_readme_names_every_command_of_the_command_line() -> None:
    process, _, _ = fresh(
        "sys.argv = ['afxvae', '--help']; from afxvae.cli import main; sys.exit(main())"
    )
    named = re.findall(r"^\| `afxvae (\w+)", README, re.MULTILINE)
    assert named
    for command in named:
        assert re.search(rf"\b{command}\b", process.stdout), f"README names {command}"


def test_what_modules_import_is_installed_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = {re.split(r"[^\w-]", line, maxsplit=1)[0] for line in project["dependencies"]}
    own = {*sys.stdlib_module_names, *installed, "afxvae"}
    for path in sorted(ROOT.glob("afxvae/**/*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:  # at once, not when needed
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            foreign = {name.split(".", maxsplit=1)[0] for name in names} - own
            assert foreign == set(), f"{path.name} needs {foreign}"


def test_modules_stay_short() -> None:
    sources = sorted(ROOT.glob("afxvae/**/*.py"))
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: lines for name, lines in lengths.items() if lines > 350} == {}
