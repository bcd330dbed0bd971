"""The jsii kernel, the Node process behind cdktf: started early, and spoken to without detours.

`begin` starts it, before anything of cdktf or jsii is imported; `bindings` then hands it to
jsii. A program that is Tapstack's own begins with `program=True`, which allows what would be
visible in another program: see docs/decisions/0024. Where an installed package looks
different from what is expected here, jsii starts its kernel itself, as it always does.
`$TAPSTACK_STOCK_IMPORT` set to 1 asks for that.

Nothing of this is public.
"""

from __future__ import annotations

import atexit
import gc
import os
from dataclasses import dataclass, field
from typing import Any

from tapstack.kernel.cores import CORES, choose_core, package_root
from tapstack.kernel.node import NodeProcess, find_runtime, spawn
from tapstack.kernel.requests import load_request, warming_requests

__all__ = ["Beginning", "abandon", "begin", "stock_import"]


@dataclass
class Beginning:
    """How this process imports cdktf.

    Attributes:
        program: whether the process is a program of Tapstack's own.
        node: the Node that was started, until jsii has it; None where jsii starts its own.
        requests: what Node was asked already, in order.
        link: jsii's link to that Node, which counts how many answers were waited for.
    """

    program: bool
    node: NodeProcess | None = None
    requests: list[dict[str, object]] = field(default_factory=list)
    link: Any = None


_begun: Beginning | None = None


def stock_import() -> bool:
    """Return whether everything is to be imported as it comes."""
    return os.environ.get("TAPSTACK_STOCK_IMPORT") == "1"


def begin(*, program: bool = False) -> Beginning:
    """Start Node, unless that was done, and have it load what it needs while Python does.

    Args:
        program: the process is a program of Tapstack's own, which ends when its stacks are synthesized.

    Raises nothing: what is wrong with an installation shows when cdktf is imported.
    """
    global _begun
    if _begun is None:
        _begun = Beginning(program)
        if stock_import():
            return _begun
        if program:
            _leave_garbage()
        if (runtime := find_runtime()) is not None:
            _begun.requests = _requests_ahead(program)
            _begun.node = spawn(runtime, _begun.requests)
    return _begun


def _leave_garbage() -> None:
    """Collect no garbage: the process ends before that would pay.

    Python collects once more at its end, a tenth of a second of a synthesis, but for what is frozen.
    """
    gc.disable()
    atexit.register(gc.freeze)


def abandon() -> None:
    """End a Node that is not used, and wait until it is gone."""
    if _begun is not None and _begun.node is not None:
        _begun.node.end(at_once=True)
        _begun.node = None


def _requests_ahead(program: bool) -> list[dict[str, object]]:
    """Return requests whose answers will be wanted: the three assemblies; of a program also what it will create."""
    try:
        core = choose_core()
    except ImportError:
        return []
    roots = [package_root(package) for package in ("constructs", core, CORES[core])]
    loads = [load_request(root) for root in roots if root is not None]
    known = [load for load in loads if load is not None]
    if len(known) < len(roots):
        return []
    return [*known, *warming_requests(str(known[-1]["name"]))] if program else known
