"""Functions that a document, or another service, names by an ARN or by a part of one; `readings` reads those of paths.

Source: Lambda API Reference, "CreateFunction" and "CreateEventSourceMapping" (FunctionName, "Name formats").
"""

from __future__ import annotations

import functools
from typing import Any

from moto.awslambda import models

from strictmoto.requests.function_names import function_named_by

# moto has types, but none for what is replaced at run time.
LambdaBackend: Any = models.LambdaBackend
LambdaFunction: Any = models.LambdaFunction
LambdaStorage: Any = models.LambdaStorage


def install() -> None:
    """Let moto read every form of a name."""
    find, initialize = LambdaStorage.get_function_by_name_or_arn_with_qualifier, LambdaFunction.__init__

    @functools.wraps(find)
    def get_function(self: Any, name_or_arn: str, qualifier: str | None = None) -> Any:
        function = function_named_by(name_or_arn)
        elsewhere = function and (
            function.region not in ("", self.region_name) or function.account not in ("", self.account_id)
        )
        if function is None or elsewhere:
            raise self.construct_unknown_function_exception(name_or_arn, qualifier)
        return find(self, function.name, function.qualifier or qualifier)

    @functools.wraps(initialize)
    def init(self: Any, account_id: str, spec: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        if function := function_named_by(spec["FunctionName"]):
            spec = {**spec, "FunctionName": function.name}
        initialize(self, account_id, spec, *args, **kwargs)

    list_versions, list_mappings = LambdaStorage.list_versions_by_function, LambdaBackend.list_event_source_mappings

    def list_versions_by_function(self: Any, name: str) -> Any:
        # moto lists none of a function that is not there.
        self.get_function_by_name_or_arn_with_qualifier(name)
        return list_versions(self, name)

    def list_event_source_mappings(self: Any, event_source_arn: str, function_name: str) -> Any:
        found = list_mappings(self, event_source_arn, "")
        wanted = function_named_by(function_name or "")
        if wanted is None:
            return [] if function_name else found
        # Of the ARN that each has, with the version or alias that it was made for.
        named = [(function_named_by(mapping.function_arn), mapping) for mapping in found]
        qualifier = "" if wanted.qualifier == "$LATEST" else wanted.qualifier
        return [one for of, one in named if of and (of.name, of.qualifier) == (wanted.name, qualifier)]

    LambdaBackend.list_event_source_mappings = list_event_source_mappings
    LambdaStorage.list_versions_by_function = list_versions_by_function
    LambdaStorage.get_function_by_name_or_arn_with_qualifier = get_function
    LambdaFunction.__init__ = init
