#!/usr/bin/env python3
"""Answers under random JSON schemas: each one that ends by itself parses with Python's json and fits its schema, as a validator of this file
reads it, with every sampler."""

import json
import random
import re
import unittest

import e2e

FORMATS = {
    "date": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])",
    "time": r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{3})?(Z|[-+]([01]\d|2[0-3]):[0-5]\d)",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
FORMATS["date-time"] = FORMATS["date"] + "T" + FORMATS["time"]
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None), "array": list, "object": dict}


def fits_type(name, value):
    if isinstance(value, bool) and name != "boolean":
        return False
    return isinstance(value, TYPES[name])


def fits_object(schema, value, root):
    properties = schema.get("properties", {})
    if any(name not in value for name in schema.get("required", [])):
        return False
    more = schema.get("additionalProperties", "properties" not in schema)
    for name, item in value.items():
        rule = properties.get(name, more)
        if rule is False or (rule is not True and not fits(rule, item, root)):
            return False
    return True


def fits(schema, value, root):
    """Whether a value fits a schema, by the words of JSON schema's specification."""
    if schema is True:
        return True
    if "$ref" in schema:
        return fits(root, value, root)
    if "const" in schema:
        return value == schema["const"] and isinstance(value, type(schema["const"]))
    if "enum" in schema:
        return any(value == item and isinstance(value, type(item)) for item in schema["enum"])
    if "anyOf" in schema:
        return any(fits(item, value, root) for item in schema["anyOf"])
    types = schema.get("type")
    if types is not None and not any(fits_type(name, value) for name in ([types] if isinstance(types, str) else types)):
        return False
    if isinstance(value, str):
        if "format" in schema and not re.fullmatch(FORMATS[schema["format"]], value):
            return False
        return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    if isinstance(value, list):
        items = schema.get("items", True)
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)) and all(fits(items, item, root) for item in value)
    return fits_object(schema, value, root) if isinstance(value, dict) else True


def random_name(rng):
    return "".join(rng.choice('abé"\\ \n{') for _ in range(rng.randint(0, 4)))


def random_object(rng, depth):
    schema = {"type": "object"}
    names = {random_name(rng) for _ in range(rng.randint(0, 4))}
    if names:
        schema["properties"] = {name: random_schema(rng, depth - 1) for name in names}
        schema["required"] = [name for name in names if rng.random() < 0.5]
    more = rng.choice([None, False, {"type": "null"}, {"type": "boolean"}])
    if more is not None:
        schema["additionalProperties"] = more
    elif not names:
        schema["additionalProperties"] = False  # `object` may nest as deeply as a random model likes
    return schema


def random_schema(rng, depth):
    """Schemas whose texts end soon under a model that says anything."""
    kind = rng.randrange(11 if depth > 0 else 7)
    if kind == 0:
        least = rng.randint(0, 3)
        return {"type": "string", "minLength": least, "maxLength": least + rng.randint(0, 5)}
    if kind == 1:
        return {"type": rng.choice(["integer", "number", "boolean", "null"])}
    if kind == 2:
        return {"enum": rng.sample([1, -2.5, "a\"b", "é", None, True, [1, {"x": []}], {}], rng.randint(1, 4))}
    if kind == 3:
        return {"const": rng.choice(["", 0, False, {"k": "\u20ac"}])}
    if kind == 4:
        return {"type": "string", "format": rng.choice(sorted(FORMATS))}
    if kind == 5:
        return {"type": rng.sample(["integer", "boolean", "null"], 2)}
    if kind == 6:
        return {"type": "array", "items": {"type": "integer"}, "maxItems": rng.randint(0, 2)}
    if kind == 7:
        least = rng.randint(0, 2)
        return {"type": "array", "items": random_schema(rng, depth - 1), "minItems": least, "maxItems": least + rng.randint(0, 2)}
    if kind == 8:
        return {"anyOf": [random_schema(rng, depth - 1) for _ in range(rng.randint(1, 3))]}
    return random_object(rng, depth)


class Grammar(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bundle = e2e.tiny_bundle(name="grammar")
        cls.schema = e2e.WORK / "random.schema"

    def answer(self, schema, *arguments):
        self.schema.write_text(json.dumps(schema), encoding="utf-8")
        result = e2e.run("llmir-chat", self.bundle, "-p", "the", "--raw", "-n", 1500, "--context", 2000, "--json-schema", self.schema, *arguments)
        self.assertEqual(result.returncode, 0, f"{schema}: {result.stderr}")
        return result

    def test_answers_fit_random_schemas(self):
        rng = random.Random(7)
        samplers = (("--greedy",), ("--temperature", 1), ("--temperature", 3, "--top-k", 0, "--top-p", 1, "--min-p", 0, "--repeat-penalty", 1),
                    ("--temperature", 1, "--typical", 0.3), ("--temperature", 1, "--top-k", 1, "--dry", 2))
        whole = 0
        for seed in range(80):
            schema = random_schema(rng, 3)
            sampler = samplers[seed % len(samplers)]
            result = self.answer(schema, *sampler, "--seed", seed, "--logprobs", 0)
            if len(result.stderr.splitlines()) >= 1500:
                continue  # it was cut
            with self.subTest(seed=seed):
                value = json.loads(result.stdout)
                self.assertTrue(fits(schema, value, schema), f"{schema}: {result.stdout}")
                whole += 1
        self.assertGreater(whole, 60)

    def test_answers_with_open_objects_have_new_names(self):
        schema = {"properties": {"a": {"const": 1}, "b": {"const": 2}, "ab": {"const": 3}}, "additionalProperties": {"enum": [7, 8]}}
        bias = ("--logit-bias", f"{quote_token()}=2")
        added = 0
        for seed in range(12):
            value = json.loads(self.answer(schema, "--temperature", 1.5, "--seed", seed, *bias).stdout)
            self.assertTrue(fits(schema, value, schema), value)
            added += any(name not in schema["properties"] for name in value)
        self.assertGreater(added, 3)


def quote_token():
    return int(e2e.run("llmir-tokenize", Grammar.bundle, stdin='"\n').stdout.split()[-1])


if __name__ == "__main__":
    unittest.main()
