"""JSON in one form, and readers of JSON and YAML that refuse what programs may read differently.

Most parsers take the last of two equal keys, some the first. A file with such keys says one thing
to one reader and another thing to the next.
"""

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NoReturn

import yaml

from benchpaper.core.errors import UserError


def as_json(data: Mapping[str, Any]) -> bytes:
    """Return the bytes of a JSON file in the one form that bundles use."""
    return (json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def from_json(data: bytes | str, name: str) -> Any:
    """Return the content of a JSON file.

    Raises `UserError`, which begins with `name`, for text that is no JSON by RFC 8259 and for an
    object with two equal keys.
    """
    try:
        return json.loads(data, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is no valid JSON: {error}") from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'an object has the key "{twice}" twice')
    return content


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def from_yaml(data: bytes | str, name: str) -> Any:
    """Return the content of a YAML file of plain values.

    Raises `UserError`, which begins with `name`, for text that is no YAML, for two equal keys, and
    for an alias (a few lines of aliases can stand for billions of values).
    """
    try:
        return yaml.load(data, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{name} is no valid YAML: {' '.join(str(error).split())}") from None


class _Loader(yaml.SafeLoader):
    """A `SafeLoader` without aliases and equal keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias; write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.YAMLError(f'a mapping has the key "{twice[0]}" twice')
        return super().construct_mapping(node, deep)
