"""Versions of functions that cannot be deleted, and concurrency that cannot be reserved.

Sources: Lambda API Reference, DeleteFunction (InvalidParameterValueException, ResourceConflictException) and
PutFunctionConcurrency; Lambda Developer Guide, "Lambda quotas" (1000 in a Region, of which 100 stay unreserved).
"""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaBackend as _Backend

# moto has types, but none for what is replaced at run time.
LambdaBackend: Any = _Backend

_LATEST: Final = "$LATEST"
_CONCURRENCY: Final = 1000
_UNRESERVED: Final = 100


def install() -> None:
    """Refuse them."""
    delete, reserve = LambdaBackend.delete_function, LambdaBackend.put_function_concurrency

    @functools.wraps(delete)
    def delete_function(self: Any, function_name: str, qualifier: str | None = None) -> None:
        name, _, after = function_name.split(":function:")[-1].partition(":")
        named = after or qualifier
        if named == _LATEST:
            raise InvalidParameterValueException("$LATEST version cannot be deleted without deleting the function.")
        if named:
            aliases = self._lambdas.list_aliases(name)
            if users := [alias.name for alias in aliases if _leads_to(alias, named)]:
                raise LambdaClientError(
                    "ResourceConflictException",
                    f"Unable to delete version because the following aliases reference it: [{', '.join(users)}]",
                )
        delete(self, function_name, qualifier)

    @functools.wraps(reserve)
    def put_function_concurrency(self: Any, function_name: str, reserved_concurrency: Any) -> Any:
        function = self.get_function(function_name)
        others = sum(
            int(group["latest"].reserved_concurrency or 0)
            for name, group in list(self._lambdas._functions.items())
            if name != function.function_name
        )
        if others + int(reserved_concurrency) > _CONCURRENCY - _UNRESERVED:
            raise InvalidParameterValueException(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{_UNRESERVED}]."
            )
        return reserve(self, function_name, reserved_concurrency)

    LambdaBackend.delete_function = delete_function
    LambdaBackend.put_function_concurrency = put_function_concurrency


def _leads_to(alias: Any, version: str) -> bool:
    weights = (alias.routing_config or {}).get("AdditionalVersionWeights") or {}
    return str(alias.function_version) == version or version in weights
