"""The floors of the house, read from the source: DESIGN.md section 2, and the class rules of section 4.

Each rule is a function from source text or classes to a list of complaints. The rules are proven on small synthetic
sources first, then applied to the package.
"""

import ast
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import equinox as eqx
import pytest

import gru_dynamics

PACKAGE = "gru_dynamics"
ROOT = Path(gru_dynamics.__file__).parent

# Folder or top-level module -> floor. A module imports only from floors strictly below, or from its own folder.
FLOORS = {
    "_types": 0,
    "_results": 0,
    "data": 0,
    "linalg": 1,
    "tasks": 1,
    "cells": 2,
    "optim": 2,
    "systems": 3,
    "interop": 3,
    "fixed_points": 4,
    "trajectories": 4,
    "sensitivity": 5,
    "continuation": 5,
    "bifurcations": 6,
    "training": 6,
    "cycles": 7,
    "basins": 8,
    "sweeps": 8,
    "plot": 9,
    "explorer": 9,
    "_report": 9,
    "papers": 10,
    "cli": 11,
}


def sources() -> dict[str, str]:
    """Path inside the package -> text, for every module."""
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted(ROOT.rglob("*.py"))}


def unit(path: str) -> str:
    """The row of the floor table a file belongs to: its folder, or its own name at the top; "" is the root."""
    parts = Path(path).parts
    if len(parts) > 1:
        return parts[0]
    return "" if parts[0] == "__init__.py" else Path(parts[0]).stem


def imported_units(path: str, source: str) -> list[tuple[int, str]]:
    """`(line, unit)` for each import from inside the package, anywhere in the file; unit "" means the root."""
    package = [PACKAGE, *Path(path).parts[:-1]]
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            # `import gru_dynamics.cells` binds the root, whatever follows the first dot.
            found += [(node.lineno, "") for alias in node.names if alias.name.split(".")[0] == PACKAGE]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = [*base, *(node.module.split(".") if node.module else [])]
            if target[:1] != [PACKAGE]:
                continue
            if len(target) > 1:
                found.append((node.lineno, target[1]))
            else:
                # `from .. import name`: a folder is itself, anything else comes from the root's `__init__`.
                found += [(node.lineno, alias.name if alias.name in FLOORS else "") for alias in node.names]
    return found


def floor_violations(path: str, source: str) -> list[str]:
    """Imports from the same or a higher floor, from the root, or to and from places the table does not know."""
    own = unit(path)
    if own == "":
        return []
    if own not in FLOORS:
        return [f"{path}: {own} has no floor"]
    complaints = []
    for line, other in imported_units(path, source):
        where = f"{path}:{line}"
        if other == own:
            continue
        if other == "":
            complaints.append(f"{where}: imports the package root")
        elif other not in FLOORS:
            complaints.append(f"{where}: {other} has no floor")
        elif FLOORS[other] >= FLOORS[own]:
            complaints.append(f"{where}: {own} (floor {FLOORS[own]}) imports {other} (floor {FLOORS[other]})")
    return complaints


def init_violations(path: str, source: str) -> list[str]:
    """Anything in a folder's `__init__` that is not a docstring or `from ._x import Name as Name`.

    Modules are re-exported with `from . import name as name`. A folder may also take names from folders inside it.
    """
    complaints = []
    body = ast.parse(source).body
    for number, node in enumerate(body):
        where = f"{path}:{node.lineno}"
        if number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if not isinstance(node, ast.ImportFrom):
            complaints.append(f"{where}: only a docstring and re-exports belong here")
        elif node.level != 1:
            complaints.append(f"{where}: re-export with one leading dot")
        elif (
            node.module is not None
            and not node.module.startswith("_")
            and not (ROOT / Path(path).parent / node.module.split(".")[0]).is_dir()
        ):
            complaints.append(f"{where}: {node.module} is public; re-export the module itself")
        else:
            complaints += [
                f"{where}: write `{alias.name} as {alias.name}`" for alias in node.names if alias.asname != alias.name
            ]
    return complaints


def call_violations(path: str, source: str) -> list[str]:
    """Calls of `super` and `hasattr`: both mean that a class does not know what it is."""
    return [
        f"{path}:{node.lineno}: calls {node.func.id}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("super", "hasattr")
    ]


def is_abstract(cls: type) -> bool:
    """Whether abstract members or `AbstractVar`s are left unfilled."""
    return inspect.isabstract(cls) or bool(cls.__abstractvars__) or bool(cls.__abstractclassvars__)


def subclass_violations(classes: Iterable[type]) -> list[str]:
    """Concrete classes among the bases of a class."""
    return [
        f"{cls.__qualname__} subclasses the concrete class {base.__qualname__}"
        for cls in classes
        for base in cls.__mro__[1:]
        if issubclass(base, eqx.Module) and base is not eqx.Module and not is_abstract(base)
    ]


def override_violations(classes: Iterable[type]) -> list[str]:
    """Methods and properties that replace an implementation of a base class."""
    return [
        f"{cls.__qualname__}.{name} overrides {base.__qualname__}.{name}"
        for cls in classes
        for base in cls.__mro__[1:]
        if issubclass(base, eqx.Module) and base is not eqx.Module
        for name, member in vars(base).items()
        if name in vars(cls)
        and (name == "__call__" or not name.startswith("__"))
        and (inspect.isfunction(member) or isinstance(member, property))
        and not getattr(member, "__isabstractmethod__", False)
    ]


def package_classes() -> list[type]:
    """Every `eqx.Module` class defined in the package; all modules are imported for it."""
    names = [info.name for info in pkgutil.walk_packages([str(ROOT)], f"{PACKAGE}.") if "__main__" not in info.name]
    modules = [importlib.import_module(name) for name in names]
    members = {member for module in modules for _, member in inspect.getmembers(module, inspect.isclass)}
    ours = [cls for cls in members if issubclass(cls, eqx.Module) and cls.__module__.startswith(f"{PACKAGE}.")]
    return sorted(ours, key=lambda cls: (cls.__module__, cls.__qualname__))


# The rules themselves ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("cells/_gru.py", "from ..systems import CellMap"),
        ("cells/_gru.py", "from ..systems._cell import CellMap"),
        ("cells/_gru.py", "from .. import systems"),
        ("cells/_gru.py", "from gru_dynamics.systems import CellMap"),
        ("systems/_cell.py", "from ..interop import load_cell"),  # neighbours on one floor
        ("cells/_gru.py", "import gru_dynamics"),
        ("cells/_gru.py", "import numpy, gru_dynamics.linalg"),
        ("cells/_gru.py", "from .. import GRUCell"),
        ("cells/_gru.py", "from gru_dynamics import linalg, GRUCell"),
        ("plot/deep/_a.py", "from ...cli import main"),
        ("cells/_gru.py", "def f():\n    from ..plot import draw"),  # late imports count
        ("cells/_gru.py", "if TYPE_CHECKING:\n    from ..plot import draw"),
        ("_types.py", "from .cells import GRUCell"),
        ("_types.py", "from ._results import RESULTS"),
        ("cells/_gru.py", "from ..attic import thing"),
        ("attic/_a.py", "import numpy"),
    ],
)
def test_floor_rule_flags(path, source):
    assert len(floor_violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "cells/_gru.py",
            "import jax\nfrom .._types import Array\nfrom ._base import AbstractCell\nfrom . import _init",
        ),
        ("cells/_gru.py", "from .. import linalg\nfrom gru_dynamics.linalg import cayley"),
        ("plot/deep/_a.py", "from ...cells import GRUCell\nfrom .._style import ink\nfrom . import _b"),
        ("cli.py", "from .plot import phase_portrait\nfrom . import papers"),
        ("cells/_gru.py", "import gru_dynamics_extras"),
        ("__init__.py", "from .cells import GRUCell as GRUCell"),
    ],
)
def test_floor_rule_passes(path, source):
    assert floor_violations(path, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "from ._gru import GRUCell",
        "from ._gru import GRUCell as Cell",
        "from .gru import GRUCell as GRUCell",
        "from .._types import Array as Array",
        "import jax",
        "from jax import jit as jit",
        "__all__ = []",
        "from ._gru import *",
        "'doc'\n'another string'",
        "jax.config.update('jax_enable_x64', True)",
    ],
)
def test_init_rule_flags(source):
    assert len(init_violations("cells/__init__.py", source)) == 1


def test_init_rule_passes():
    source = '"""Doc."""\nfrom . import library as library\nfrom ._gru import (\n    A as A,\n    B as B,\n)'
    assert init_violations("cells/__init__.py", source) == []
    assert init_violations("__init__.py", "from .cells import A as A\nfrom . import cells as cells") == []


def test_call_rule():
    assert len(call_violations("a.py", "class A:\n    def f(self):\n        return super().f()")) == 1
    assert len(call_violations("a.py", "if hasattr(x, 'y'): pass")) == 1
    assert call_violations("a.py", "'hasattr(x)'  # super()\nsupper()") == []


def test_class_rules():
    class Abstract(eqx.Module):
        size: eqx.AbstractVar[int]

        def final(self):
            return self.size

    class Final(Abstract):
        size: int

    class Heir(Final):
        extra: int

    class Overrider(Abstract):
        size: int

        def final(self):
            return 0

    assert is_abstract(Abstract)
    assert not is_abstract(Final)
    assert subclass_violations([Abstract, Final, Overrider]) == []
    assert len(subclass_violations([Heir])) == 1
    assert override_violations([Abstract, Final, Heir]) == []
    assert len(override_violations([Overrider])) == 1


# The package -------------------------------------------------------------------------------------


def test_package_floors():
    assert [complaint for path, text in sources().items() for complaint in floor_violations(path, text)] == []


def test_package_inits():
    inits = {path: text for path, text in sources().items() if path.endswith("__init__.py")}
    assert "cells/__init__.py" in inits
    assert [complaint for path, text in inits.items() for complaint in init_violations(path, text)] == []


def test_package_calls():
    assert [complaint for path, text in sources().items() for complaint in call_violations(path, text)] == []


def test_package_classes_are_abstract_or_final():
    classes = package_classes()
    assert any(is_abstract(cls) for cls in classes)
    assert any(not is_abstract(cls) for cls in classes)
    assert subclass_violations(classes) == []
    assert override_violations(classes) == []


# Import ------------------------------------------------------------------------------------------

_IMPORT = """
import json, sys
sys.modules["tyro"] = sys.modules["pyarrow"] = None  # as if they were not installed
import jax

def options():
    return {name: repr(getattr(jax.config, name)) for name in dir(jax.config) if name.startswith("jax_")}

def changed():  # options that a dependency registers on import are new, not changed
    after = options()
    return sorted(name for name in before if after[name] != before[name])

before = options()
import gru_dynamics
by_import = changed()
jax.config.update("jax_enable_x64", not jax.config.jax_enable_x64)
print(json.dumps([by_import, changed()]))
"""


def test_import():
    """It works without the optional packages, and changes no configuration of jax; a change would be seen."""
    run = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    by_import, by_update = json.loads(run.stdout)
    assert by_import == []
    assert by_update == ["jax_enable_x64"]
