"""Read a deployment file, and report all problems at once, each with file, line and field."""

from __future__ import annotations

import json
import os
import re
import stat
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ValidationError

from tapstack.domain.renamed import OLD_KEYS
from tapstack.domain.suggestions import did_you_mean, nearest
from tapstack.settings import partial
from tapstack.settings.checking import Checker
from tapstack.settings.checks import check_deployment, warn_of_curly_quotes
from tapstack.settings.fields import MisfitError
from tapstack.settings.model import Deployment
from tapstack.settings.problems import ABSENT, DeploymentError, Problem, printable
from tapstack.settings.problems import Path as FieldPath
from tapstack.settings.respelled import Respelled
from tapstack.settings.yaml_source import YamlSource

DEFAULT_FILE: Final = "deployment.yaml"
FILE_VARIABLE: Final = "TAPSTACK_DEPLOYMENT"
_MOST_BYTES: Final = 16 << 20
CONTEXT_KEY: Final = "deployment"


def deployment_path(directory: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the deployment file to use.

    `$TAPSTACK_DEPLOYMENT` wins; then the cdktf context value `deployment`, which the CLI
    passes on in `$CDKTF_CONTEXT_JSON` and which otherwise stands in cdktf.json; then
    `deployment.yaml`. A relative path in the variable starts where the user stands, the
    others at `directory`.

    Raises:
        DeploymentError: the context value is not a path.
    """
    if named := environment.get(FILE_VARIABLE):
        return Path.cwd() / named
    return directory / (_context_value(directory, environment) or DEFAULT_FILE)


def _context_value(directory: Path, environment: Mapping[str, str]) -> str | None:
    passed = environment.get("CDKTF_CONTEXT_JSON")
    origin = "$CDKTF_CONTEXT_JSON" if passed else "cdktf.json"
    try:
        if passed:
            context = json.loads(passed)
        else:
            context = json.loads((directory / "cdktf.json").read_text(encoding="utf-8")).get("context", {})
        value = context.get(CONTEXT_KEY)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise DeploymentError(origin, [Problem((), f"cannot be read as a JSON object: {error}")]) from None
    if value is None or (isinstance(value, str) and value):
        return value
    raise DeploymentError(origin, [Problem(("context", CONTEXT_KEY), "expected the path of a deployment file", value)])


def load_deployment(path: Path) -> Deployment:
    """Read and check a deployment file.

    Raises:
        DeploymentError: it cannot be read or used; the report names every problem.
    """
    file = shown(path)
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise DeploymentError(file, [Problem((), "is no regular file: expected a YAML file")])
        if status.st_size > _MOST_BYTES:
            raise DeploymentError(file, [Problem((), f"is larger than {_MOST_BYTES >> 20} MiB: expected a YAML file")])
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        # make -C runs elsewhere than the user, who wrote a path for where they are.
        place = "" if Path(file).is_absolute() else f" ({path.absolute()})"
        raise DeploymentError(
            file,
            [
                Problem(
                    (),
                    f"no such file{place}: create it, or name another one in ${FILE_VARIABLE}, "
                    f"in the cdktf context value {CONTEXT_KEY!r}, or to the command (--deployment, or FILE of check)",
                )
            ],
        ) from None
    except IsADirectoryError:
        raise DeploymentError(file, [Problem((), "is a directory: expected a YAML file")]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DeploymentError(file, [Problem((), f"is not UTF-8 text (byte {error.start})", line=line)]) from None
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DeploymentError(file, [Problem((), f"cannot be read: {reason}")]) from None
    return parse_deployment(text, file)


def parse_deployment(text: str, file: str = DEFAULT_FILE) -> Deployment:
    """Check the text of a deployment file; `file` is what messages call it.

    Raises:
        DeploymentError: the report names every problem with its line.
    """
    source = YamlSource(text, file)
    if source.problems or source.empty:
        raise DeploymentError(file, _all_problems(source))
    try:
        deployment = Deployment.model_validate(source.data)
    except ValidationError:
        raise DeploymentError(file, _all_problems(source)) from None
    checker = Checker()
    if found := check_deployment(deployment, checker):
        raise DeploymentError(file, [_placed(problem, source) for problem in found])
    warn_of_curly_quotes(checker, (), source.data)
    deployment.note_file(file, source.line)
    deployment.note_warnings((_placed(found, source).render(file), by) for found, by in checker.warnings)
    return deployment


def _all_problems(source: YamlSource) -> list[Problem]:
    """Return what is wrong with single values, and what the others are known to be wrong with together."""
    file = Respelled(source.data)
    found: list[Problem] = []
    renamed = True
    while renamed:
        errors = _errors(file.data)
        renamed = False
        for details in errors:
            near = _near_field(details["loc"]) if details["type"] == "extra_forbidden" else None
            if near is not None:
                problem = _problem(details, file.data)
                if file.rename(problem.path, near):
                    found.append(problem)
                    renamed = True
    # What does not fit together is found again below, where it is known to be so.
    found += [
        _problem(details, file.data)
        for details in errors
        if not isinstance(details.get("ctx", {}).get("error"), MisfitError)
    ]
    found = [problem for problem in found if file.written(problem.path) not in source.unusable]
    checker = Checker(partial=True)
    deployment = partial.build_part(Deployment, file.data, (), checker)
    with checker.part():
        check_deployment(deployment, checker)
    # What is wrong in itself, or below, is to be mended and not taken out.
    wrong = {problem.path[:end] for problem in found for end in range(1, len(problem.path) + 1)}
    together = [one for one in checker.problems if not (one.message.startswith("has no effect") and one.path in wrong)]
    placed = [_placed(replace(problem, path=file.written(problem.path)), source) for problem in (*found, *together)]
    placed += [_placed(Problem(path, _EMPTY), source) for path in sorted(_null_by_mistake(source, placed), key=str)]
    # Members of a union complain one by one of the same thing.
    return list({(problem.path, problem.message): problem for problem in (*source.problems, *placed)}.values())


_EMPTY: Final = "has no value: write null to turn it off, or leave the key out for the default"


def _null_by_mistake(source: YamlSource, problems: Sequence[Problem]) -> Iterator[FieldPath]:
    """Yield the places without a value that would mean null: a key whose value was forgotten turns nothing off."""
    reported = {problem.path for problem in problems}
    for path in source.empty:
        if not any(path[:end] in reported for end in range(1, len(path) + 1)):
            yield path


def _errors(data: Any) -> list[Any]:
    try:
        Deployment.model_validate(partial.without_unknown(data))
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _placed(problem: Problem, source: YamlSource) -> Problem:
    """Return a problem with its line, and what it shows as the file has it."""
    path, value = problem.path, problem.value
    shown_value = value if value is ABSENT else source.as_written(path, value)
    return Problem(path, source.explain(path, problem.message), shown_value, source.line(path))


def shown(path: Path) -> str:
    """The path as a user would write it: relative where it lies below the working directory."""
    try:
        text = str(path.resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError, RuntimeError):  # the last of a link that leads to itself
        text = str(path)
    # A terminal would do what a name's control characters say.
    return printable(text)


def _problem(details: Any, data: Any) -> Problem:
    """Return pydantic's errors about `data` as Tapstack's messages."""
    location: FieldPath = tuple(details["loc"])
    path = _existing(location, data, details["type"] in ("missing", "extra_forbidden"))
    value = details["input"]
    kind = details["type"]
    context = details.get("ctx", {})
    if kind == "missing":
        message, value = "is missing", ABSENT
        if description := _description(location):
            message += f": {description[0].lower()}{description[1:].rstrip('.')}"
    elif kind == "extra_forbidden":
        fields = sorted(_fields_at(location[:-1]))
        renamed = OLD_KEYS.get(str(location[-1]))
        hint = f"it is called {renamed} now; " if renamed in fields else did_you_mean(str(location[-1]), fields)
        message, value = f"unknown key; {hint}known here: {', '.join(fields)}", ABSENT
    elif kind == "value_error":
        # Our own messages name the value themselves.
        message, value = str(context["error"]), ABSENT
    else:
        hint = did_you_mean(value, _WORD.findall(context["expected"])) if _is_other_word(kind, value) else ""
        message = hint + _in_our_words(kind, details["msg"], context)
        message += _more_about(kind, path, value)
        if isinstance(value, Mapping | list) and kind != "literal_error" and not kind.endswith("_type"):
            value = ABSENT
    return Problem(path, message, value if _plain(value) else ABSENT)


def _plain(value: Any) -> bool:
    return value is ABSENT or value is None or isinstance(value, str | int | float | bool | list | dict)


_EXPECTED: Final = {
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "literal_error": "expected {expected}",
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
    "too_short": "expected at least {min_length} {entries}",
    "too_long": "expected at most {max_length} {entries}, got {actual_length}",
    "string_too_short": "expected at least {min_length} characters",
    "string_too_long": "expected at most {max_length} characters",
}
_CONTAINERS: Final[Mapping[str, Literal["object", "array"]]] = {
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
}
_WORD: Final = re.compile("'([^']*)'")


def _is_other_word(kind: str, value: Any) -> bool:
    return kind == "literal_error" and isinstance(value, str)


def _in_our_words(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind in _EXPECTED:
        count = context.get("min_length", context.get("max_length"))
        return _EXPECTED[kind].format(**context, entries="entry" if count == 1 else "entries")
    return message[:1].lower() + message[1:]


def _more_about(kind: str, path: FieldPath, value: Any) -> str:
    """Return what a message about a value of the wrong type adds: the numbers, or the form, that are right."""
    # Imported late: a file of the right types need not wait for it.
    from tapstack.settings.forms import example_at, numbers_at

    if kind == "string_type":
        return " (put it in quotes)" if isinstance(value, int | float) else ""
    if kind in ("int_type", "float_type"):
        return f", {numbers}" if (numbers := numbers_at(path)) else ""
    example = example_at(path, _CONTAINERS[kind]) if kind in _CONTAINERS else None
    return f" such as {example}" if example else ""


def _existing(location: FieldPath, data: Any, keep_last: bool) -> FieldPath:
    """Return the part of pydantic's location that the file has.

    Pydantic adds members of unions and marks of keys to its locations; a missing key is kept.
    """
    path: list[str | int] = []
    for position, part in enumerate(location):
        if _has(data, part):
            data = data[part]
        elif keep_last and position == len(location) - 1:
            pass
        else:
            continue
        path.append(part)
    return tuple(path)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, Mapping) and part in data


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation mentions, through containers, unions and Annotated."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]


def _models_at(location: FieldPath) -> list[type[BaseModel]]:
    models: list[type[BaseModel]] = [Deployment]
    named = False  # the next part is a name that the user chose, whatever fields are called
    for part in location:
        if named:
            named = False
            continue
        fields = [m.model_fields[part] for m in models if isinstance(part, str) and part in m.model_fields]
        if fields:
            models = [model for found in fields for model in _models_in(found.annotation)]
            named = any(typing.get_origin(found.annotation) is dict for found in fields)
    return models


def _fields_at(location: FieldPath) -> set[str]:
    return {name for model in _models_at(location) for name in model.model_fields}


def _near_field(location: FieldPath) -> str | None:
    """Return the field that a key of the wrong name was probably meant to be, if any."""
    name, fields = str(location[-1]), sorted(_fields_at(location[:-1]))
    return renamed if (renamed := OLD_KEYS.get(name)) in fields else nearest(name, fields)


def _description(location: FieldPath) -> str | None:
    # Imported late: a file that lacks nothing need not wait for it.
    from tapstack.settings.descriptions import descriptions_of

    name = str(location[-1])
    models = [model for model in _models_at(location[:-1]) if name in model.model_fields]
    return descriptions_of(models[0]).get(name) if models else None
