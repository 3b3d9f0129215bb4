"""The work that everybody is given: graphs of tasks that do nothing, or run /bin/true, in each system's own notation.

W1  wide      a source, 10,000 tasks, a sink
W2  chain     1,000 tasks one after another
W3  layered   100 layers of 100 tasks, each with 3 upstream tasks drawn from the layer before
"""

import random
from dataclasses import dataclass
from pathlib import Path

SEED = 20261120


@dataclass(frozen=True)
class Graph:
    """`upstream[i]`: the tasks that task i waits for; all of them are smaller than i."""

    name: str
    upstream: list[list[int]]

    @property
    def size(self) -> int:
        return len(self.upstream)

    def leaves(self) -> list[int]:
        inner = {task for tasks in self.upstream for task in tasks}
        return [task for task in range(self.size) if task not in inner]

    def write_edges(self, path: Path) -> None:
        path.write_text("".join(" ".join(map(str, tasks)) + "\n" for tasks in self.upstream))

    def write_makefile(self, path: Path, spawn: bool) -> None:
        recipe = "\n\t@/bin/true" if spawn else ""
        lines = [f".PHONY: all {' '.join(f't{task}' for task in range(self.size))}"]
        lines.append("all: " + " ".join(f"t{task}" for task in self.leaves()) + (recipe and "\n"))
        for task, tasks in enumerate(self.upstream):
            lines.append(f"t{task}: {' '.join(f't{each}' for each in tasks)}{recipe}")
        path.write_text("\n".join(lines) + "\n")

    def write_ninja(self, path: Path, spawn: bool) -> None:
        lines = ["rule true", "  command = /bin/true"] if spawn else []
        rule = "true" if spawn else "phony"
        for task, tasks in enumerate(self.upstream):
            lines.append(f"build t{task}: {rule} {' '.join(f't{each}' for each in tasks)}")
        lines.append("build all: phony " + " ".join(f"t{task}" for task in self.leaves()))
        path.write_text("\n".join(lines) + "\ndefault all\n")

    def dag(self, spawn: bool, cached: bool = False) -> str:
        """A DAG file of Chappe. With `cached` each task's result is used again."""
        work = "command: [/bin/true]" if spawn else "noop: true"
        lines = [f"name: {self.name}_{'true' if spawn else 'noop'}", "tasks:"]
        if cached:
            lines[:1] = [f"name: {self.name}_cached", "defaults: {cache: {scope: dag}}"]
        for task, tasks in enumerate(self.upstream):
            depends = f", depends_on: [{', '.join(f't{each}' for each in tasks)}]" if tasks else ""
            lines.append(f"  - {{id: t{task}, {work}{depends}}}")
        return "\n".join(lines) + "\n"


def wide(width: int) -> Graph:
    return Graph("w1", [[]] + [[0] for _ in range(width)] + [list(range(1, width + 1))])


def chain(length: int) -> Graph:
    return Graph("w2", [[]] + [[task] for task in range(length - 1)])


def layered(layers: int, width: int) -> Graph:
    chance = random.Random(SEED)
    upstream: list[list[int]] = [[] for _ in range(width)]
    for layer in range(1, layers):
        before = range((layer - 1) * width, layer * width)
        upstream += [sorted(chance.sample(before, min(3, width))) for _ in range(width)]
    return Graph("w3", upstream)


def shapes(scale: float = 1.0) -> dict[str, Graph]:
    """By name, each `scale` times its size."""

    def scaled(size: int) -> int:
        return max(2, round(size * scale))

    return {"W1": wide(scaled(10_000)), "W2": chain(scaled(1_000)), "W3": layered(scaled(100), scaled(100))}


def mapped_layers(layers: int, width: int) -> str:
    """A DAG file of `layers` fan-outs of `width` no-ops, one after another: how a file says a million tasks."""
    lines = ["name: mapped", "tasks:"]
    for layer in range(layers):
        depends = f", depends_on: [l{layer - 1}]" if layer else ""
        lines.append(f"  - {{id: l{layer}, noop: true, foreach: {{sequence: {{start: 0, count: {width}}}}}{depends}}}")
    return "\n".join(lines) + "\n"


def waiting(count: int) -> str:
    """A DAG file of `count` no-ops that wait for the only slot of the pool `shut`, which one task keeps."""
    return (
        "name: waiting\ntasks:\n"
        "  - {id: holder, command: [sleep, infinity], pool: shut, priority: 1}\n"
        f"  - {{id: crowd, noop: true, pool: shut, foreach: {{sequence: {{count: {count}}}}}}}\n"
    )
