"""Params as the API shows them, so that PUT accepts what GET returns."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from .errors import from_validation
from .masking import Values, mask_secrets

#: Params that the server itself reads.
OWN = ("width", "height", "show_reloading_frame")


class Taken(NamedTuple):
    #: From the model, with defaults; as JSON, in which a SecretStr is masked.
    value: Values
    #: The same as Python values, to detect a change.
    made: Values
    #: As the API shows them: as given, with defaults and masked secrets.
    shown: Values


def check(model: type[BaseModel], given: Values) -> Taken:
    """Validate params. With a transforming validator a model returns values that it does not accept itself; these stay
    inside the pipeline. Raises RunnerError with the path and reason of each fault."""
    try:
        made = model.model_validate(given)
    except ValidationError as error:
        raise from_validation(error) from error
    value = _without_sides(made.model_dump(mode="json", by_alias=True, warnings=False))
    filled = _fill(given, _fill(_defaults(model), value))
    for candidate in (_keep(filled, value), filled):
        if _means(model, candidate, made):
            break
    else:
        # A default that is not a valid input is left out.
        known = _keep(given, value)
        candidate = known if _means(model, known, made) else dict(given)
        for key, one in filled.items():
            if key not in given and _means(model, {**candidate, key: one}, made):
                candidate[key] = one
    own = {key: value[key] for key in OWN if key in value}
    return Taken(value, made.model_dump(warnings=False), {**mask_secrets(model, candidate), **own})


def _without_sides(value: Values) -> Values:
    """Leave out sides without a value, as the server expects."""
    return {key: one for key, one in value.items() if not (key in OWN and one is None)}


@cache
def _defaults(model: type[BaseModel]) -> Values:
    """The defaults as a client would send them."""
    properties = model.model_json_schema().get("properties", {})
    return _without_sides({key: one["default"] for key, one in properties.items() if "default" in one})


def _means(model: type[BaseModel], candidate: Values, made: BaseModel) -> bool:
    """Return whether the candidate, as JSON, parses to the same value."""
    try:
        taken = model.model_validate(json.loads(json.dumps(candidate)))
        return bool(taken.model_dump(warnings=False) == made.model_dump(warnings=False))
    except Exception:
        return False


def _fill(given: Any, value: Any) -> Any:
    if not (isinstance(given, dict) and isinstance(value, dict)):
        return given
    return {**value, **{key: _fill(one, value[key]) if key in value else one for key, one in given.items()}}


def _keep(shown: Values, value: Values) -> Values:
    """Leave out names that the model does not know."""
    return {
        key: _keep(one, value[key]) if isinstance(one, dict) and isinstance(value[key], dict) else one
        for key, one in shown.items()
        if key in value
    }
