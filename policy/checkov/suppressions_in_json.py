"""checkov plug-in: suppressions that stand beside a resource in Terraform JSON.

checkov reads suppressions from comments, and JSON has none: for what cdktf synthesizes it
knows no suppression in place at all (github.com/bridgecrewio/checkov/issues/4634). This
reads them from `//`, the property that Terraform keeps for comments:

    "aws_lb": {"sensors": {"//": {"checkov": {"skip": [{"id": "CKV_AWS_91", "comment": "why"}]}}}}

`tapstack.capture.scaffold.suppress_checkov` writes them. A failed check that is suppressed
becomes a skipped one. One that passes stays passed, so that a suppression nobody needs
any more shows: no skipped check belongs to it. A suppression without a comment counts
for nothing.

    checkov -d cdktf.out/stacks --framework terraform_json --skip-download \
        --external-checks-dir policy/checkov -o json

checkov loads every module of this directory, but only beside an `__init__.py`. It loads
them in the middle of `TerraformJsonRunner.run`; the step wrapped here is the last one of
that method, so the wrapper sees every result.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any

from checkov.common.models.enums import CheckResult
from checkov.common.output.report import Report
from checkov.common.util.consts import END_LINE, START_LINE
from checkov.terraform_json.runner import TerraformJsonRunner
from checkov.version import version

_STEP = "add_graph_check_results"
_INSTALLED = "_tapstack_reads_suppressions"

# Where a block stands: its file, first line and last line.
_Place = tuple[str, int, int]
_Step = Callable[[Any, Report, Any], None]

_log = logging.getLogger(__name__)


class UnknownCheckovError(RuntimeError):
    """checkov's inside looks different from what this plug-in knows."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"checkov {version} {what}. Suppressions in Terraform JSON are not read, and what they "
            "suppress shows as failed. policy/checkov is made for the version in "
            "tests/isolated/requirements/checkov.txt"
        )


def _install() -> None:
    """Wrap the last step of checkov's runner; a second time does nothing."""
    if getattr(TerraformJsonRunner, _INSTALLED, False):
        return
    step = getattr(TerraformJsonRunner, _STEP, None)
    if not callable(step) or list(inspect.signature(step).parameters) != ["self", "report", "runner_filter"]:
        raise UnknownCheckovError(f"has no TerraformJsonRunner.{_STEP}(report, runner_filter)")
    setattr(TerraformJsonRunner, _STEP, _then_suppress(step))
    setattr(TerraformJsonRunner, _INSTALLED, True)


def _then_suppress(step: _Step) -> _Step:
    def add_results_and_suppress(self: Any, report: Report, runner_filter: Any) -> None:
        step(self, report, runner_filter)
        _suppress(report, dict(_blocks(self.definitions)))

    return add_results_and_suppress


def _suppress(report: Report, blocks: dict[_Place, tuple[str, dict[str, str]]]) -> None:
    """Move the failed checks that are suppressed to the skipped ones."""
    for record in [*report.passed_checks, *report.failed_checks]:
        address, reasons = blocks.get((record.file_abs_path, *record.file_line_range), (record.resource, {}))
        # checkov's own is "resource.sensors" in half of the records: not an address of anything.
        record.resource = address
        reason = reasons.get(record.check_id)
        if reason is not None and record.check_result["result"] == CheckResult.FAILED:
            record.check_result = {
                **record.check_result,
                "result": CheckResult.SKIPPED,
                "suppress_comment": reason,
            }
            report.failed_checks.remove(record)
            report.add_record(record)


def _blocks(definitions: dict[str, Any]) -> Iterator[tuple[_Place, tuple[str, dict[str, str]]]]:
    """Yield where each resource and data source stands, its address, and its suppressions by check."""
    seen: dict[_Place, str] = {}
    for file, definition in definitions.items():
        for kind, prefix in (("resource", ""), ("data", "data.")):
            for block in definition.get(kind, []):
                for address, config in _named(block):
                    place = (file, config[START_LINE], config[END_LINE])
                    full = prefix + address
                    if place in seen:
                        # Results are identified by line, which minified JSON does not allow.
                        raise UnknownCheckovError(f"places {seen[place]} and {full} on the same lines of {file}")
                    seen[place] = full
                    yield place, (full, _reasons(full, config))


def _named(block: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for type_, instances in block.items():
        if isinstance(instances, dict):
            for name, config in instances.items():
                if isinstance(config, dict):
                    yield f"{type_}.{name}", config


def _reasons(address: str, config: dict[str, Any]) -> dict[str, str]:
    """Read the suppressions of one block; one without a comment is reported and left out."""
    note = config.get("//")
    skips = note.get("checkov", {}).get("skip", []) if isinstance(note, dict) else []
    reasons: dict[str, str] = {}
    for skip in skips:
        reason = str(skip.get("comment") or "").strip()
        if reason:
            reasons[str(skip["id"])] = reason
        else:
            _log.error("%s: the suppression of %s has no comment and counts for nothing", address, skip.get("id"))
    return reasons


_install()
