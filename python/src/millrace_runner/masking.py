"""Masking of secrets among params."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel

Values = dict[str, Any]
#: Replaces secrets in params that the API returns; sent back, it keeps the stored secret.
MASK = "\u2022" * 8


def mask_secrets(model: type[BaseModel], params: Values) -> Values:
    """Replace each value that the model marks as `writeOnly` or as a password, as pydantic's SecretStr does, by a mask;
    empty values stay."""
    masked: Values = params
    for schema in _schemas(model):
        masked = _mask(schema, masked, schema, ())
    return masked


@cache
def _schemas(model: type[BaseModel]) -> tuple[Values, ...]:
    """Schemas by the fields' aliases and by their names: params may be given by either."""
    return model.model_json_schema(by_alias=True), model.model_json_schema(by_alias=False)


def _mask(node: Any, value: Any, root: Values, seen: tuple[str, ...]) -> Any:
    """`seen`: the references that led here from the same value."""
    if not isinstance(node, dict) or value is None or value == "":
        return value
    if node.get("writeOnly") is True or node.get("format") == "password":
        return MASK
    for key in ("anyOf", "oneOf", "allOf"):
        for alternative in node.get(key, ()):
            value = _mask(alternative, value, root, seen)
    reference = node.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        value = _mask(_resolve(reference, root), value, root, (*seen, reference))
    if isinstance(value, list):
        places = node.get("prefixItems", ())
        return [
            _mask(places[index] if index < len(places) else node.get("items"), inner, root, ())
            for index, inner in enumerate(value)
        ]
    if isinstance(value, dict):
        known = node.get("properties", {})
        others = node.get("additionalProperties")
        return {key: _mask(known.get(key, others), inner, root, ()) for key, inner in value.items()}
    return value


def _resolve(reference: str, root: Values) -> Any:
    """Resolve a JSON Pointer within the schema, such as `#/$defs/Name`."""
    node: Any = root
    for key in reference.split("/")[1:]:
        node = node.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node
