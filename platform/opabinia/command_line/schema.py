"""The tree of fields behind a configuration class, read from its JSON schema.

The JSON schema is pydantic's own plain-data description of a class, so everything that pydantic can hold (tuples,
dictionaries, unions, literals, paths) is walked here by the same few rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from opabinia.command_line.document import Json
from opabinia.names import nearest

Schema = dict[str, Json]


class _WithFactories(GenerateJsonSchema):
    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Json:
        factory = cast("Json", schema.get("default_factory"))
        if factory is None or schema.get("default_factory_takes_data"):
            return super().get_default_value(schema)
        return factory()


def schema_of(model: type[BaseModel]) -> Schema:
    """Return the JSON schema of a configuration class with every reference written out in full."""
    schema = model.model_json_schema(schema_generator=_WithFactories)
    return _inlined(schema, schema.get("$defs", {}))


def members(schema: Schema) -> list[Schema]:
    """List what a field may hold: the members of a union, or the schema itself."""
    union: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    return [inner for member in union for inner in members(member)] or [schema]


def tag(schema: Schema) -> str | None:
    """Return the field that tells the members of a union of objects apart, or None where there is none."""
    shapes = [member["properties"] for member in members(schema) if "properties" in member]
    if len(shapes) < 2:
        return None
    return next((name for name in shapes[0] if all(_is_constrained(shape.get(name, {})) for shape in shapes)), None)


def shapes(schema: Schema, value: object) -> list[Schema]:
    """List the members of a union that `value` can be told to be, or all of them where that leaves none."""
    name = tag(schema)
    if name is None or not isinstance(value, Mapping) or name not in value:
        return members(schema)
    fitting = [member for member in members(schema) if _fits(member, name, str(cast("Json", value[name])))]
    return fitting or members(schema)


def known_fields(schema: Schema, value: object) -> list[str]:
    """List the names that may stand below `value`: field names, or the keys of a dictionary with fixed keys."""
    names: dict[str, None] = {}
    for shape in shapes(schema, value):
        names.update(dict.fromkeys(shape.get("properties", ())))
        names.update(dict.fromkeys(shape.get("propertyNames", {}).get("enum", ())))
    return list(names)


def below(schema: Schema, key: str | int, value: object) -> Schema | None:
    """Return the schema of the field, dictionary entry or list item `key` of `value`, or None where it cannot exist."""
    for shape in shapes(schema, value):
        if isinstance(key, int):
            if shape.get("type") == "array":
                return _item(shape, key)
        elif key in shape.get("properties", {}):
            return shape["properties"][key]
        elif isinstance(shape.get("additionalProperties"), dict) and _is_key(shape, key):
            return shape["additionalProperties"]
    return None


def accepts(schema: Schema, *types: str) -> bool:
    """Tell whether some member of the schema has one of these JSON types ("array", "object", "string", …)."""
    return any(member.get("type") in types for member in members(schema))


def leaves(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the dotted path of every field in the tree, with N for a list index and NAME for a free key."""
    for member in members(schema):
        for name, field in member.get("properties", {}).items():
            yield (*path, name)
            yield from leaves(field, (*path, name))
        if isinstance(member.get("items"), dict):
            yield from leaves(member["items"], (*path, "N"))
        if isinstance(member.get("additionalProperties"), dict):
            yield from leaves(member["additionalProperties"], (*path, "NAME"))


def unknown_field(tree: Schema, parent: Schema, value: object, name: str) -> str:
    """Say that `name` is no field of `value`, with the nearest one that is: here, or of that name elsewhere."""
    known = known_fields(parent, value)
    others = _tags_with(parent, name)
    if others:
        return f"unknown field here; only {tag(parent)} {' or '.join(others)} has it. Known: {', '.join(known)}"
    match = nearest(name, known)
    if match is None:
        elsewhere = [".".join(path) for path in leaves(tree) if path[-1] == name]
        match = nearest(name, elsewhere) or next(iter(elsewhere), None)
    hint = f"; did you mean {match!r}?" if match else "."
    return f"unknown field{hint} Known: {', '.join(known) or 'none'}"


def _inlined(node: Json, definitions: Schema) -> Json:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in cast("list[Json]", node)]
    if not isinstance(node, dict):
        return node
    mapping = cast("Schema", node)
    if "$ref" not in mapping:
        return {key: _inlined(item, definitions) for key, item in mapping.items() if key != "$defs"}
    target = _inlined(definitions[mapping["$ref"].rsplit("/", 1)[-1]], definitions)
    return {**target, **{key: item for key, item in mapping.items() if key != "$ref"}}


def _item(shape: Schema, index: int) -> Schema | None:
    prefix: list[Schema] = shape.get("prefixItems", [])
    if 0 <= index < len(prefix):
        return prefix[index]
    return shape.get("items") or (None if prefix else {})


def _tags_with(schema: Schema, name: str) -> list[str]:
    """List the kinds of a union of objects that have a field of this name."""
    kind = tag(schema)
    fields = [member.get("properties", {}) for member in members(schema)]
    return [str(field[kind].get("default", field[kind].get("const"))) for field in fields if kind and name in field]


def _is_key(shape: Schema, key: str) -> bool:
    allowed = shape.get("propertyNames", {}).get("enum")
    return allowed is None or key in allowed


def _is_constrained(field: Schema) -> bool:
    return bool({"const", "enum", "pattern"} & field.keys())


def _fits(member: Schema, name: str, value: str) -> bool:
    field: Schema = member.get("properties", {}).get(name, {})
    if "pattern" in field:
        return re.search(field["pattern"], value) is not None
    return value in field.get("enum", [field.get("const")])
