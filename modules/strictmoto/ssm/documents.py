"""Documents without a structure, patch groups without a baseline, and parameters that were asked for and are not there.

moto fails at the first two; a name of a parameter that a call asked about stays, and calls that list parameters fail
from then on.

Source: Systems Manager API Reference, CreateDocument (InvalidDocumentContent), GetPatchBaselineForPatchGroup
(OperatingSystem: WINDOWS by default) and GetParameter (ParameterNotFound).
"""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.ssm import models
from moto.ssm.exceptions import InvalidDocumentContent

# moto has types, but none for what is replaced at run time.
Document: Any = models.Document
Backend: Any = models.SimpleSystemManagerBackend
Parameters: Any = models.ParameterDict

_SYSTEM: Final = "WINDOWS"


@functools.cache
def install() -> None:
    """Make the moto of this process do so. A second call changes nothing."""
    initialize, find = Document.__init__, Parameters.__getitem__
    baseline = Backend.get_patch_baseline_for_patch_group

    @functools.wraps(initialize)
    def init(self: Any, *args: Any, **given: Any) -> None:
        try:
            initialize(self, *args, **given)
        except (AttributeError, TypeError):
            raise InvalidDocumentContent("The content for the document is not valid.") from None

    @functools.wraps(find)
    def versions(self: Any, name: str) -> Any:
        self._check_loading_status(name)
        return find(self, name) if name in self else _Unborn(self, self.normalize_name(name))

    @functools.wraps(baseline)
    def get_patch_baseline_for_patch_group(self: Any, patch_group: str, operating_system: str | None) -> Any:
        return baseline(self, patch_group, operating_system or _SYSTEM)

    Document.__init__ = init
    Parameters.__getitem__ = versions
    Backend.get_patch_baseline_for_patch_group = get_patch_baseline_for_patch_group


class _Unborn(list[Any]):
    """The versions of a parameter that is not there until it has one."""

    def __init__(self, parameters: Any, name: str) -> None:
        super().__init__()
        self._parameters, self._name = parameters, name

    def append(self, version: Any) -> None:
        """Keep the first version."""
        super().append(version)
        self._parameters[self._name] = self
