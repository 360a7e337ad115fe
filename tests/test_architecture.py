"""Imports point one way: read from the source, functions and TYPE_CHECKING blocks included.

The rule checked: along
`ops <- layers <- coding <- runtime <- models <- (analyzers, importers) <- leaderboard <- search <- cli`
a part imports itself and parts to its left only. `rate_estimators`, `losses` and `training` (training only) import
parts up to `models` and each other; of the chain only `search` and `cli` import them. `datasets` needs `ops` and
`errors` alone. `configs` needs the errors only when imported: inside functions it may look at `models`,
`rate_estimators` and `training` for what they accept, and of the chain only `cli` and `search` import it. `registry`
may import everything that it registers, and nothing but the package's `__init__` imports it. `ops`, `layers`,
`coding` and `runtime` never import a host. The folders inside `leaderboard` form no cycle either.
"""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "sc2_spic_plugin"
ROOT = Path(__file__).parents[1] / PACKAGE
HOSTS = {"sc2bench", "torchdistill", "compressai", "timm", "torchvision"}
CHAIN = ["ops", "layers", "coding", "runtime", "models", "analyzers", "leaderboard", "search", "cli"]
UP_TO = {part: {"errors", "version", *CHAIN[: index + 1]} for index, part in enumerate(CHAIN)}
UP_TO["importers"] = UP_TO["models"] | {"importers"}
for later in CHAIN[CHAIN.index("leaderboard") :]:
    UP_TO[later] |= {"importers"}
TRAINING = {"rate_estimators", "losses", "training", "datasets", "configs"}
ALLOWED = {
    **UP_TO,
    **{part: UP_TO["models"] | {"rate_estimators", "losses", "training"} for part in ("losses", "training")},
    "rate_estimators": UP_TO["coding"] | {"rate_estimators"},
    "search": UP_TO["search"] | TRAINING,
    "cli": UP_TO["cli"] | TRAINING,
    "datasets": {"errors", "ops", "datasets"},
    "configs": {"errors", "configs"},
    "errors": set(),
    "version": set(),
    "__init__": {"version", "registry"},
    "__main__": {"cli"},
    "registry": {"errors", "ops", "analyzers", "datasets", "losses", "models", "training"},
}
LAZILY = {"configs": {"models", "rate_estimators", "training"}}


class Import(NamedTuple):
    part: str
    target: str
    is_lazy: bool
    where: str


def part_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path: Path) -> Iterator[Import]:
    """Yields the package's own imports of one file by part, and foreign ones by their top-level name."""
    tree = ast.parse(path.read_text())
    inside = {id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
              for node in ast.walk(function)}  # fmt: skip
    package = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = [*base, *(node.module.split(".") if node.module else [])]
            names = [[*stem, alias.name] if stem == [PACKAGE] else stem for alias in node.names]
        else:
            continue
        for name in names:
            target = name[1] if name[0] == PACKAGE and len(name) > 1 else name[0]
            is_own = name[0] == PACKAGE
            where = f"{path.relative_to(ROOT.parent)}:{node.lineno}"
            yield Import(part_of(path), target if is_own else f"<{target}>", id(node) in inside, where)


IMPORTS = [found for path in sorted(ROOT.rglob("*.py")) for found in imports_of(path)]


def test_every_part_has_a_rule() -> None:
    parts = {part_of(path) for path in ROOT.rglob("*.py")}
    assert parts <= set(ALLOWED), f"say in this test what {sorted(parts - set(ALLOWED))} may import"
    found = {(each.part, each.target, each.is_lazy) for each in IMPORTS}
    assert {("models", "layers", False), ("cli", "training", False), ("configs", "models", True)} <= found
    assert ("models", "<sc2bench>", False) in found and ("cli", "configs", True) in found


def test_imports_point_one_way() -> None:
    wrong = [
        f"{found.where}: {found.part} imports {found.target}"
        for found in IMPORTS
        if not found.target.startswith("<")
        and found.target not in ALLOWED[found.part]
        and not (found.is_lazy and found.target in LAZILY.get(found.part, ()))
    ]
    assert wrong == []


def test_the_folders_of_the_leaderboard_import_one_way() -> None:
    folder = ROOT / "leaderboard"
    graph: dict[str, set[str]] = {}
    for path in folder.rglob("*/*.py"):
        where = path.relative_to(folder).parts
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and 1 < node.level <= len(where):
                base = [*where[: len(where) - node.level], *str(node.module).split(".")]
                graph.setdefault(where[0], set()).add(base[0])
    assert {"results", "tables", "codecs"} <= set(graph["comparison"] | graph["costs"])
    assert list(TopologicalSorter({part: used - {part} for part, used in graph.items()}).static_order())


@pytest.mark.parametrize("part", ["ops", "layers", "coding", "runtime", "errors", "version"])
def test_the_core_never_imports_a_host(part: str) -> None:
    foreign = {found.target.strip("<>") for found in IMPORTS if found.part == part and found.target.startswith("<")}
    assert not foreign & HOSTS


def test_only_the_registry_touches_the_hosts_registries() -> None:
    """Reading a table is fine anywhere; adding to one is the registry's alone."""
    adds = ("register_backbone_func", "register_model", "register_analysis_class", "register_mid_level_loss",
            "register_dataset", "register_low_level_loss", "register_backbone_class")  # fmt: skip
    users = [path.name for path in ROOT.rglob("*.py") if any(f"{name}" in path.read_text() for name in adds)]
    assert users == ["registry.py"]


def test_no_module_reads_pickles_or_runs_a_shell() -> None:
    wrong = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                name = ast.unparse(node.func)
                if name in ("torch.load", "load") and name == "torch.load" and keywords.get("weights_only") != "True":
                    wrong.append(f"{path.name}: {ast.unparse(node)}")
                if name in ("pickle.load", "pickle.loads", "os.system") or keywords.get("shell") == "True":
                    wrong.append(f"{path.name}: {ast.unparse(node)}")
    assert wrong == []
