"""The rooms of the package: none knows a higher one, and no imports go in a circle.

Imports within functions count as well: they make starting quick, not knowing less.
"""

import ast
from pathlib import Path

import deepcpg_tf

PACKAGE = Path(deepcpg_tf.__file__).parent

# From low to high; rooms on one line do not know each other, but for those on the first.
ORDER = (
    (
        "errors",
        "files",
        "hdf5",
        "kinds",
        "npz",
        "cache",
        "quiet",
        "inputs",
        "resume",
        "presets",
        "extras",
        "progress",
    ),
    ("genome",),
    ("profiles", "configs"),
    ("weights",),
    ("models",),
    ("data",),
    ("local",),
    ("training", "prediction"),
    ("scan",),
    ("variants",),
    ("evaluation", "regions"),
    ("results", "exporters"),
    ("workflows",),
    ("cli",),
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(name):
    """Yield the modules of the package that a module imports anywhere, types included."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
            found.append(str(node.module))
        else:
            continue
        for text in found:
            module = text.removeprefix("deepcpg_tf.")
            if text.startswith("deepcpg_tf.") and module in MODULES and module != name:
                yield module


# The package itself and what starts it import by name, when asked to.
GRAPH = {name: set(imported(name)) for name in MODULES if name not in ("", "__main__")}


def test_every_room_has_a_place():
    assert {name.partition(".")[0] for name in GRAPH} == set(LEVEL)


def climbs(graph):
    """Yield each import of a room that is higher, or beside."""
    for name, modules in graph.items():
        room = name.partition(".")[0]
        for module in modules:
            other = module.partition(".")[0]
            near = other == room or LEVEL[room] == LEVEL[other] == 0
            if not near and LEVEL[other] >= LEVEL[room]:
                yield name, module


def test_climbs_are_found():
    graph = {"genome.sites": {"cli.app", "genome.names", "errors"}, "files": {"errors"}}
    assert list(climbs(graph)) == [("genome.sites", "cli.app")]


def test_no_room_knows_a_higher_one():
    assert sorted(climbs(GRAPH)) == []


def circle(graph):
    """Return a circle of modules, or nothing."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        path.append(name)
        for other in sorted(graph.get(name, ())):
            if found := visit(other):
                return found
        done.add(path.pop())
        return []

    return next((found for name in graph if (found := visit(name))), [])


def test_circles_are_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_no_imports_in_a_circle():
    assert circle(GRAPH) == []


def test_the_public_names():
    """One list three times: for readers of types, for looking up, and for a star."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    typed = {
        alias.name: str(node.module).removeprefix("deepcpg_tf.")
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == deepcpg_tf._MODULE_OF
    assert list(deepcpg_tf.__all__) == list(deepcpg_tf._MODULE_OF)
    for name in deepcpg_tf.__all__:
        value = getattr(deepcpg_tf, name)
        assert getattr(value, "__name__", name) == name
    assert set(deepcpg_tf.__all__) <= set(dir(deepcpg_tf))
