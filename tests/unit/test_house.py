"""Who may import whom, and what the repository must not hold."""

import ast
import functools
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

import tapstack
from tapstack.domain import function_variables, incidents, own_names, table_names
from tapstack.domain.renamed import OLD_NAMES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "modules" / "tapstack"
STORE = PACKAGE / "responder" / "store"

# The ground floor first. What a part may import of tapstack besides itself, parts or single modules, and of
# third-party packages.
FLOORS: dict[str, tuple[set[str], set[str]]] = {
    "tapstack.domain": (set(), {"jmespath"}),
    "tapstack.settings": ({"tapstack.domain"}, {"pydantic", "pydantic_core", "yaml"}),
    "tapstack.responder": ({"tapstack.domain"}, {"botocore", "aws_lambda_powertools", "fastjsonschema"}),
    "tapstack.workspace": (
        # Of the responder, only what reads the table before a deploy.
        {"tapstack.domain", "tapstack.settings", "tapstack.responder.store.deployed"},
        {"boto3", "botocore"},
    ),
    "tapstack.packets": ({"tapstack.domain"}, {"boto3", "botocore"}),
    "tapstack.kernel": (set(), {"jsii"}),
    "tapstack.bindings": ({"tapstack.domain", "tapstack.kernel"}, {"cdktf", "cdktn", "constructs"}),
    "tapstack.capture": ({"tapstack.domain", "tapstack.bindings"}, set()),
    "tapstack.response": ({"tapstack.domain", "tapstack.bindings", "tapstack.capture"}, set()),
    "tapstack.xdr": ({"tapstack.domain", "tapstack.bindings", "tapstack.capture", "tapstack.response"}, set()),
    "strictmoto": (
        set(),
        {"moto", "boto3", "botocore", "joserfc", "werkzeug", "pytest", "yaml"},
    ),
    "tapstack.rehearsal": (
        {"strictmoto", "tapstack.domain", "tapstack.packets", "tapstack.settings"},
        {"jinja2", "pydantic"},
    ),
    "tapstack.cli": (
        {
            *(
                "strictmoto",
                "tapstack",
                "tapstack.domain",
                "tapstack.kernel",
                "tapstack.packets",
                "tapstack.settings",
                "tapstack.workspace",
            ),
            "tapstack.rehearsal",
        },
        {"botocore"},
    ),
    "tapstack": ({"tapstack.domain", "tapstack.capture", "tapstack.response", "tapstack.xdr"}, set()),
    "stacks": (
        {
            *("tapstack", "tapstack.bindings", "tapstack.capture", "tapstack.domain", "tapstack.settings"),
            "tapstack.workspace",
        },
        set(),
    ),
    "main": (
        {"tapstack.kernel", "tapstack.domain", "tapstack.settings", "tapstack.workspace", "stacks"},
        set(),
    ),
}
# The rooms of the responder, likewise: what each may import of the others, all of which stand before it.
ROOMS: dict[str, set[str]] = {
    "alert_sources": set(),
    "environment": set(),
    "errors": set(),
    "aws": {"environment", "errors"},
    "observability": {"aws", "environment"},
    "store": {"aws", "environment", "errors"},
    "telemetry": {"aws"},
    "outbound": {"aws", "environment", "errors", "observability", "store"},
    "appliance": {"aws", "environment", "errors", "outbound", "store"},
    "capture": {"appliance", "aws", "environment", "errors", "outbound", "store"},
    "containment": {"appliance", "aws", "capture", "environment", "errors", "observability", "outbound", "store"},
    "incident": {
        *("alert_sources", "aws", "capture", "containment", "environment", "errors", "observability", "outbound"),
        "store",
    },
    "api": {"alert_sources", "aws", "containment", "environment", "errors", "incident", "observability", "store"},
    "sweeper": {
        *("appliance", "aws", "capture", "containment", "environment", "incident", "observability"),
        *("outbound", "store"),
    },
    "handlers": {
        *("api", "appliance", "aws", "capture", "containment", "incident", "observability", "outbound", "store"),
        *("sweeper", "telemetry"),
    },
}
SOURCES = sorted([*(ROOT / "modules").rglob("*.py"), *(ROOT / "stacks").rglob("*.py"), ROOT / "main.py"])


def module_name(file: Path) -> str:
    relative = file.relative_to(ROOT / "modules" if file.is_relative_to(ROOT / "modules") else ROOT)
    return ".".join(relative.with_suffix("").parts).removesuffix(".__init__")


def floor_of(module: str) -> str | None:
    """The part of the house that a module belongs to; None for third-party modules."""
    parts = module.split(".")
    if parts[0] == "tapstack":
        return ".".join(parts[:2])
    return parts[0] if parts[0] in ("strictmoto", "stacks", "main") else None


@functools.cache
def tree_of(file: Path) -> ast.Module:
    """Read once; three tests look into every module."""
    return ast.parse(file.read_text(encoding="utf-8"))


@functools.cache
def nodes_of(file: Path) -> tuple[ast.AST, ...]:
    """Walked once; several tests look at each of them."""
    return tuple(ast.walk(tree_of(file)))


@functools.cache
def imports_of(file: Path) -> tuple[str, ...]:
    """Return every module that a file names in an import, wherever: in a function, for type checking, by name."""
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[str]:
    for node in nodes_of(file):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if is_module(inner) else str(node.module)
        elif isinstance(node, ast.Call) and "import_module" in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            yield from (str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant))


def is_module(name: str) -> bool:
    path = ROOT.joinpath("modules" if name.startswith(("tapstack", "strictmoto")) else "", *name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_when_a_part_is_added_then_the_floors_say_what_it_may_import() -> None:
    assert {floor_of(module_name(file)) for file in SOURCES} <= set(FLOORS)


def test_when_a_module_imports_then_only_what_its_floor_may() -> None:
    assert [
        f"{module_name(file)}: {name}" for file in SOURCES for name in imports_of(file) if not may(file, name)
    ] == []


def may(file: Path, name: str) -> bool:
    """Whether a file's floor lets it import a module."""
    floor, target = floor_of(module_name(file)), floor_of(name)
    assert floor is not None
    house, others = FLOORS[floor]
    if target is not None:
        return target == floor or bool({target, name} & house)
    package = name.partition(".")[0]
    return package in sys.stdlib_module_names or package in others


@pytest.mark.parametrize("name", ["tapstack.cli.main", "tapstack.responder", "strictmoto.account", "boto3", "requests"])
def test_fails_when_the_domain_imports_another_floor_or_package(name: str) -> None:
    assert not may(PACKAGE / "domain" / "names.py", name)


@pytest.mark.parametrize("floor", FLOORS)
def test_when_a_floor_may_import_something_then_it_does(floor: str) -> None:
    """An import that is no longer used is no longer allowed."""
    names = {name for file in SOURCES if floor_of(module_name(file)) == floor for name in imports_of(file)}
    used = names | {floor_of(name) or name.partition(".")[0] for name in names}
    house, others = FLOORS[floor]
    # The bindings import whichever of cdktf and cdktn is installed by its name.
    assert (house | others) - used - {"cdktn"} == set()


def test_when_packets_are_in_s3_then_one_module_imports_boto3() -> None:
    files = {file for file in SOURCES if floor_of(module_name(file)) == "tapstack.packets"}
    found = {file for file in files if {name.partition(".")[0] for name in imports_of(file)} & {"boto3", "botocore"}}
    assert found == {PACKAGE / "packets" / "s3.py"}


def test_when_rooms_of_the_responder_import_each_other_then_one_way_only() -> None:
    used: dict[str, set[str]] = {}
    for file in SOURCES:
        _, _, name = module_name(file).partition("tapstack.responder.")
        if name:
            rooms = {
                imported.split(".")[2] for imported in imports_of(file) if imported.startswith("tapstack.responder.")
            }
            used.setdefault(name.partition(".")[0], set()).update(rooms)
    assert {room: found - {room} for room, found in used.items()} == ROOMS
    order = list(ROOMS)
    assert [room for room, others in ROOMS.items() if others - set(order[: order.index(room)])] == []


def test_when_imports_are_read_then_hidden_ones_are_found_too(tmp_path: Path) -> None:
    file = tmp_path / "hidden.py"
    file.write_text(
        "import os.path\n"
        "from tapstack import domain, PacketBasics\n"
        "from tapstack.settings import model\n"
        "if TYPE_CHECKING:\n    import cdktf as cdk\n"
        "def late():\n    from constructs import Construct\n"
        "jsii = importlib.import_module('jsii')\n"
    )
    assert set(imports_of(file)) == {
        "os.path",
        "tapstack",
        "tapstack.domain",
        "tapstack.settings.model",
        "cdktf",
        "constructs",
        "jsii",
    }


def test_when_tapstack_is_imported_then_nothing_heavy_is() -> None:
    program = "import sys, tapstack; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = done.stdout.split()
    assert [name for name in imported if name.startswith("tapstack")] == ["tapstack"]
    assert not {name.partition(".")[0] for name in imported} & {"cdktf", "cdktn", "jsii", "boto3", "pydantic", "yaml"}


def test_when_a_name_is_public_then_its_home_is_known_and_shown() -> None:
    assert len(set(tapstack.__all__)) == len(tapstack.__all__)
    assert set(tapstack.__all__) == {*tapstack._HOMES, "presets"}
    assert set(dir(tapstack)) == set(tapstack.__all__)


@pytest.mark.parametrize(("name", "home"), tapstack._HOMES.items())
def test_when_a_name_has_a_home_then_it_is_defined_there(name: str, home: str) -> None:
    tree = ast.parse((ROOT / "modules" / Path(*home.split("."))).with_suffix(".py").read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    imported = {a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    assert name in defined | assigned | imported


@pytest.mark.parametrize("name", ["presets", "Source", "MirrorRule", "RuleViolation"])
def test_when_a_name_of_the_domain_is_used_then_it_resolves(name: str) -> None:
    found = getattr(tapstack, name)
    assert found.__name__.rpartition(".")[2] == {"presets": "filter_presets"}.get(name, name)


def test_fails_when_a_name_is_unknown() -> None:
    with pytest.raises(AttributeError, match="^module 'tapstack' has no attribute 'Nothing'$"):
        _ = tapstack.Nothing


@pytest.mark.parametrize(("old", "now"), OLD_NAMES.items())
def test_fails_when_a_name_is_an_old_one_and_says_the_new_one(old: str, now: str) -> None:
    assert now in tapstack.__all__
    assert not hasattr(tapstack, old)
    for statement, error in ((f"tapstack.{old}", AttributeError), (f"from tapstack import {old}", ImportError)):
        with pytest.raises(error, match=f"^tapstack has no {old} any more: it is tapstack.{now}$"):
            exec(statement, {"tapstack": tapstack})


def undocumented(node: ast.Module | ast.ClassDef, name: str) -> Iterator[str]:
    if not ast.get_docstring(node):
        yield name
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef) and not inner.name.startswith("_"):
            if isinstance(inner, ast.ClassDef):
                yield from undocumented(inner, f"{name}.{inner.name}")
            elif not ast.get_docstring(inner):
                yield f"{name}.{inner.name}"


def test_when_a_part_is_added_then_contributors_read_what_it_holds() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    parts = [file.parent for file in (*PACKAGE.glob("*/__init__.py"), ROOT / "modules" / "strictmoto" / "__init__.py")]
    assert [part.name for part in parts if f"`{part.relative_to(ROOT)}`" not in page] == []


def test_when_something_is_public_then_it_has_a_docstring() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert [name for file in files for name in undocumented(tree_of(file), module_name(file))] == []


# DynamoDB's words in texts: what an expression begins with, its functions and placeholders; keys and their parts.
_EXPRESSION = re.compile(
    r"^(?:SET|REMOVE|ADD|DELETE) [#\w]"
    r"|\b(?:attribute_(?:not_)?exists|begins_with|if_not_exists)\("
    r"|(?:=|<>|[<>]|\bIN) \(?:[a-z]"
    r"|#(?:state|token|ttl)\b"
    r"|Expression(?:Attribute(?:Names|Values))?$"
)
_BEGINNINGS = [value for name, value in vars(table_names).items() if name.isupper() and str(value).isupper()]
_KEY = re.compile(rf"^(?:{table_names.PARTITION_KEY}|{table_names.SORT_KEY})$|^(?:{'|'.join(_BEGINNINGS)})(?:#.*)?$")


def words_of_the_table(nodes: Collection[ast.AST]) -> list[str]:
    """Texts and names of arguments that are of DynamoDB's language, or of a key; docstrings are not read."""
    documents = {
        id(node.body[0].value)
        for node in nodes
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
    ]
    names = [node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg]
    return [text for text in (*texts, *names) if _EXPRESSION.search(text) or _KEY.search(text) or text == "dynamodb"]


def test_when_a_file_is_not_of_the_store_then_it_names_no_expression_and_no_key() -> None:
    files = [
        file
        for file in sorted(PACKAGE.rglob("*.py"))
        # The command line shows some of these words in headings.
        if not {STORE, PACKAGE / "cli"} & set(file.parents) and file != PACKAGE / "domain" / "table_names.py"
    ]
    assert [f"{module_name(file)}: {word}" for file in files for word in words_of_the_table(nodes_of(file))] == []


def test_when_a_file_is_not_of_the_store_then_it_imports_neither_its_keys_nor_its_calls() -> None:
    inner = {f"tapstack.responder.store.{name}" for name in ("items", "keys", "table")}
    others = [file for file in SOURCES if STORE not in file.parents]
    assert [file for file in others if inner & set(imports_of(file))] == []


def test_when_a_file_is_of_the_store_then_its_expressions_and_keys_are_found() -> None:
    for name in ("appliance", "captures", "containments", "incidents", "requests", "items", "table"):
        assert words_of_the_table(nodes_of(STORE / f"{name}.py")) != [], name


@pytest.mark.parametrize(
    "line",
    [
        'change(incident, "SET containment.#state = :to", to="x")',
        'check(incident, "attribute_not_exists(holders)")',
        'query(KeyConditionExpression="listing = :listing")',
        'read({"pk": {"S": f"INCIDENT#{name}"}, "sk": {"S": "INCIDENT"}})',
        'client("dynamodb").get_item()',
        'read({"a": "INSTANCE#i-1"})',
        'read({"a": "SNAPSHOTS#s-1"})',
    ],
)
def test_fails_when_a_line_speaks_of_the_table(line: str) -> None:
    assert words_of_the_table(tuple(ast.walk(ast.parse(line)))) != []


@functools.cache
def texts_of(file: Path) -> tuple[str, ...]:
    """Every text that a module has in its code, and each part of one with values in it; docstrings are not read."""
    documents = {id(node.value) for node in nodes_of(file) if isinstance(node, ast.Expr)}
    return tuple(
        node.value
        for node in nodes_of(file)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
    )


def shared_names() -> dict[str, str]:
    """The module of each name that IAM and code share, by the name; those that are plain words are left out."""
    return {
        value: module.__name__
        for module in (incidents, own_names, table_names)
        for constant, value in vars(module).items()
        if constant.isupper() and isinstance(value, str) and (module is not incidents or constant.startswith("TAG_"))
        if re.search(r"[:-]|[a-z][A-Z]", value)
    }


def test_when_iam_and_code_share_a_name_then_one_module_writes_it() -> None:
    """A name that is written differently in two places is refused by IAM at run time, or finds nothing."""
    homes = shared_names()
    assert {"tapstack:site", "tapstack:purpose", "aws:cloudformation:stack-name", "by-state"} <= set(homes)
    name = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, homes))})(?![\w-])")
    scripts = sorted((ROOT / "scripts").rglob("*.py"))
    ours = [file for file in (*SOURCES, *scripts) if not file.is_relative_to(ROOT / "modules" / "strictmoto")]
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in ours
        for text in texts_of(file)
        for match in name.finditer(text)
        if homes[match.group()] != module_name(file)
    ]
    assert found == []


def words_listed(file: Path) -> Iterator[tuple[int, frozenset[str], bool]]:
    """Each list of three or more words in a module: its line, the words, and whether a type says them."""
    types = {
        id(node.slice)
        for node in nodes_of(file)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal"
    }
    for node in nodes_of(file):
        if isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) > 2:
            words = [each.value for each in node.elts if isinstance(each, ast.Constant) and type(each.value) is str]
            if len(words) == len(node.elts):
                yield node.lineno, frozenset(map(str, words)), id(node) in types


def test_when_a_type_lists_words_then_no_other_place_lists_them_too() -> None:
    """`typing.get_args` gives the words of a type."""
    places: dict[frozenset[str], list[str]] = {}
    typed: set[frozenset[str]] = set()
    for file in sorted(PACKAGE.rglob("*.py")):
        for line, words, in_type in words_listed(file):
            places.setdefault(words, []).append(f"{file.relative_to(PACKAGE)}:{line}")
            typed |= {words} if in_type else set()
    assert len(typed) > 10
    assert {" ".join(sorted(words)): places[words] for words in typed if len(places[words]) > 1} == {}


def test_when_a_name_is_made_of_those_of_deployment_and_site_then_one_module_makes_it() -> None:
    made = re.compile(r"^-(?:response|epb|xdr|quarantine|packet-basics|boundary|incidents)\b|^response-")
    ours = [file for file in SOURCES if not file.is_relative_to(ROOT / "modules" / "strictmoto")]
    found = {module_name(file) for file in ours if any(made.search(text) for text in texts_of(file))}
    # An alarm of the telemetry has it before its own name.
    assert found == {"tapstack.domain.names", "tapstack.xdr.incident_telemetry"}


def test_when_a_name_begins_with_that_of_the_response_then_only_its_own_stack_and_the_domain_make_it() -> None:
    """What reads a resource by its name takes the function that the stack takes."""
    beginnings = {"response_name", "landing_name", "name_within"}
    makers = {
        module_name(file).rpartition(".")[0]
        for file in SOURCES
        if beginnings & {node.id for node in nodes_of(file) if isinstance(node, ast.Name)}
    }
    assert makers == {"tapstack.domain", "tapstack.response", "tapstack.xdr"}


# What stands for a person or a program without saying which, and the past of a verb that says less than notified. The
# table has an attribute `told`.
_VAGUE = re.compile(r"\b(?:told(?! :what\b)|somebody|nobody|anybody|everybody)\b", re.IGNORECASE)


def test_when_the_product_is_described_then_in_words_that_say_who() -> None:
    attribute = {f"tapstack.responder.store.{name}" for name in ("records", "snapshots")}
    ours = [
        file for file in SOURCES if module_name(file).startswith("tapstack.") and module_name(file) not in attribute
    ]
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in ours
        for match in _VAGUE.finditer(file.read_text(encoding="utf-8"))
    ]
    tests = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    assert found + re.findall(r"def (test_\w*_(?:is|are|were)_told_?\w*)", tests) == []


def test_when_the_sweeper_s_interval_is_said_then_it_is_the_one_of_its_schedule() -> None:
    ours = [file for file in (*SOURCES, *(ROOT / "scripts").rglob("*.py")) if "strictmoto" not in file.parts]
    found = [module_name(file) for file in ours for text in texts_of(file) if re.search(r"\bevery 15 minutes\b", text)]
    assert found == []


def test_when_a_variable_of_the_functions_is_named_then_one_module_does() -> None:
    names = {value for name, value in vars(function_variables).items() if name.isupper()}
    ours = [file for file in SOURCES if "strictmoto" not in file.parts]
    found = {module_name(file) for file in ours for text in texts_of(file) if text in names}
    # The command line has a variable of the same name: the deployment file.
    assert found == {"tapstack.domain.function_variables", "tapstack.settings.load"}


@pytest.mark.parametrize(
    ("text", "home"),
    [
        ("aws:SecureTransport", "tapstack.domain.iam_documents"),
        ("shutting-down", "tapstack.domain.instance_states"),
        (":assumed-role/", "tapstack.domain.callers"),
    ],
)
def test_when_a_word_of_aws_is_a_rule_of_its_own_then_one_module_has_it(text: str, home: str) -> None:
    ours = [file for file in SOURCES if not file.is_relative_to(ROOT / "modules" / "strictmoto")]
    assert {module_name(file) for file in ours if any(text in one for one in texts_of(file))} == {home}


# Constants of one name and one value that say different things.
_BY_CHANCE = {
    "AS_OF",  # each list was compared with AWS's page on a day of its own
    "DELETION_PROTECTION",  # of the appliance; of the table
    "LISTED",  # incidents on a screen; values of an alert
    "POLL_SECONDS",  # between looks at an appliance; at packets
    "VERSION",  # of events; of manifests of recorded packets
}


def test_when_two_modules_have_a_constant_then_it_is_not_the_same_one_twice() -> None:
    homes: dict[tuple[str, str], set[str]] = {}
    for file in SOURCES:
        if file.is_relative_to(ROOT / "modules" / "strictmoto"):
            continue
        for node in tree_of(file).body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                name = node.target.id.lstrip("_")
                # What is another constant has its value from there.
                if name.isupper() and not isinstance(node.value, ast.Name):
                    homes.setdefault((name, ast.unparse(node.value)), set()).add(module_name(file))
    assert len(homes) > 500
    assert {name for (name, _), modules in homes.items() if len(modules) > 1} == _BY_CHANCE


def test_when_a_module_has_a_private_constant_then_it_reads_it() -> None:
    found = []
    for file in SOURCES:
        read = {node.id for node in nodes_of(file) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        for statement in tree_of(file).body:
            if isinstance(statement, ast.AnnAssign | ast.Assign):
                targets = [statement.target] if isinstance(statement, ast.AnnAssign) else statement.targets
                names = {each.id for each in targets if isinstance(each, ast.Name) and each.id.startswith("_")}
                found += [f"{file.relative_to(ROOT)}: {name}" for name in names - read if not name.startswith("__")]
    assert found == []


def test_when_a_number_is_refused_then_one_function_does_it() -> None:
    """A comparison alone takes True for 1."""
    said = "must be a whole number from"
    ours = [file for file in SOURCES if not file.is_relative_to(ROOT / "modules" / "strictmoto")]
    found = {module_name(file) for file in ours if any(said in text for text in texts_of(file))}
    # The first is about text in a query, which the API checks before it is a number.
    assert found == {"tapstack.responder.api.routes", "tapstack.domain.arguments"}


def repository_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_when_the_repository_is_copied_then_no_file_names_a_place_of_this_machine() -> None:
    places = [str(ROOT), str(Path.home()), "/usr/local/lib/python", ".venv/lib/python"]
    machine = re.compile("|".join(re.escape(place) + r"\b" for place in places if place not in ("/", "/root")))
    # This file names them itself.
    files = [file for file in repository_files() if file != Path(__file__)]
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in files
        for match in machine.finditer(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_when_packages_are_locked_then_no_index_is() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text(encoding="utf-8"))
    assert lock["_meta"]["sources"] == []
    packages = {name: entry for section in ("default", "develop") for name, entry in lock[section].items()}
    assert packages
    assert [name for name, entry in packages.items() if {"index", "file", "path"} & set(entry)] == []
    assert "://" not in json.dumps(packages)
    assert "source" not in tomllib.loads((ROOT / "Pipfile").read_text(encoding="utf-8"))


def test_when_node_packages_are_locked_then_no_registry_is() -> None:
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert '"integrity": "sha512-' in text
    assert '"resolved"' not in text


def test_when_installation_is_described_then_no_package_index_is_named() -> None:
    # Nobody owns the name there: whoever registers it could serve anything.
    tool = r"\b(?:pip|uv|pipx|poetry|pipenv)\b[^\n]*\b(?:install|add|run)\b[^\n]*"
    wrong = re.compile(tool + r"[\s'\"`]tapstack(?![\w./*-])|\binstall '?tapstack\[")
    assert wrong.search("pip install 'tapstack[response]'")
    assert wrong.search("uv pip install --quiet tapstack")
    assert not wrong.search("pip install 'dist/tapstack-0.2.0-py3-none-any.whl[response]'")
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in repository_files()
        if file != Path(__file__)
        for match in wrong.finditer(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []
