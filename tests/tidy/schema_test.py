"""The published JSON Schema of DAG files accepts what the loader accepts, and refuses what has the wrong shape.

What a schema cannot see (references, cycles, expressions) is the loader's alone. Needs python3-jsonschema and
python3-yaml; skipped without them.
"""

import json
import pathlib
import re
import subprocess
import unittest

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
BROKEN = ROOT / "tests/unit/dags/broken"

# Of the broken files, those whose mistakes are of shape, or partly so.
WRONG_SHAPE = ["empty", "foreach", "kinds", "not_supported", "params", "paths", "schedule", "types", "unknown_key"]

# One small mistake each, in a DAG that is good otherwise: a path of keys, and what to put there.
SMALL_MISTAKES = [
    (["name"], "my-dag"),
    (["tasks"], []),
    (["tasks", 0, "timeout"], 90),
    (["tasks", 0, "retry", "limit"], -1),
    (["tasks", 0, "retry", "on"], ["bad_luck"]),
    (["tasks", 0, "resources", "memory"], "500"),
    (["tasks", 0, "noop"], {}),
    (["tasks", 0, "depends_on"], "extract"),
    (["tasks", 0, "env", "CHAPPE_RUN"], "mine"),
    (["tasks", 0, "env", "LIST"], [1]),
    (["tasks", 1, "foreach", "items"], [1]),
    (["tasks", 1, "inputs", "artifacts", 0, "asset"], "a@b"),
    (["tasks", 1, "run"], "a second kind"),
    (["tasks", 1, "shell"], "bash"),
    (["concurrency", "max_runs"], 0),
    (["concurrency", "on_limit"], "drop"),
    (["schedule"], "0 3 * *"),
    (["schedule"], {"cron": "@daily", "every": "1h"}),
    (["catchup"], True),
    (["dst"], {"gap": "jump"}),
    (["start_date"], "tomorrow"),
    (["params", "rate", "type"], "float"),
    (["image"], ["debian"]),
    (["tasks", 1, "container"], {"network": "private"}),
    (["tasks", 1, "container"], {"privileged": True}),
]


def load_yaml_1_2(path):
    """Parses YAML by the 1.2 core schema, as Chappe does: to YAML 1.1 the key `on` would be true."""

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}

    rules = [
        ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
        ("bool", r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
        ("int", r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
        ("float", r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", list("-+.0123456789")),
    ]
    for tag, pattern, first in rules:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)
    return yaml.load(path.read_text(encoding="utf-8"), Loader)


@unittest.skipIf(jsonschema is None, "python3-jsonschema or python3-yaml is not installed")
class Schema(unittest.TestCase):
    def setUp(self):
        self.schema = json.loads((ROOT / "dags/schema/dag.schema.json").read_text(encoding="utf-8"))
        self.validator = jsonschema.Draft202012Validator(self.schema)

    def mistakes(self, document):
        return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in self.validator.iter_errors(document)]

    def test_is_a_schema_itself(self):
        jsonschema.Draft202012Validator.check_schema(self.schema)

    def test_accepts_every_example_and_good_file(self):
        files = [*(ROOT / "dags/examples").rglob("[!_]*.yaml"), *(ROOT / "tests/unit/dags/good").glob("*.yaml")]
        self.assertGreater(len(files), 5)
        for path in files:
            with self.subTest(path.name):
                self.assertEqual(self.mistakes(load_yaml_1_2(path)), [])

    def test_refuses_files_of_the_wrong_shape(self):
        for name in WRONG_SHAPE:
            with self.subTest(name):
                self.assertNotEqual(self.mistakes(load_yaml_1_2(BROKEN / f"{name}.yaml")), [])

    def test_refuses_each_small_mistake(self):
        for path, value in SMALL_MISTAKES:
            with self.subTest(path=path):
                document = load_yaml_1_2(ROOT / "tests/unit/dags/good/everything.yaml")
                at = document
                for key in path[:-1]:
                    at = at[key]
                at[path[-1]] = value
                self.assertNotEqual(self.mistakes(document), [])

    def test_the_reference_of_all_keys_is_fresh(self):
        done = subprocess.run([ROOT / "scripts/key-reference", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_object_is_closed_and_top_level_keys_are_described(self):
        def walk(at, path):
            if isinstance(at, dict):
                if at.get("type") == "object" and "properties" in at:
                    self.assertIs(at.get("additionalProperties"), False, path)
                for key, value in at.items():
                    walk(value, f"{path}/{key}")

        walk(self.schema, "")
        for name, key in self.schema["properties"].items():
            described = key if "description" in key else self.schema["$defs"][key["$ref"].rsplit("/", 1)[1]]
            self.assertIn("description", described, name)


if __name__ == "__main__":
    unittest.main()
