"""kill -9 before and after the n-th sync, write, rename and send of a daemon. `scripts/kill-matrix` starts this."""

import argparse
import random
import sys
from collections.abc import Iterator

from call_faults import Fault
from chain import Chain, play_to_the_end

KINDS = {"scheduler": "sync,write,rename,send,receive", "worker": "sync,write,rename,send,receive,tell"}
MEAN_LIFE = {"scheduler": 30.0, "worker": 60.0}  # Calls; the first dozen are those of the start.
LIFE_MAX = 400


def kills(victim: str, seed: int) -> Iterator[Fault]:
    chance = random.Random(seed)
    while True:
        action = chance.choice(("kill-before", "kill-after"))
        nth = 1 + min(int(chance.expovariate(1 / MEAN_LIFE[victim])), LIFE_MAX)
        yield Fault(action, KINDS[victim], nth)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--victim", choices=sorted(KINDS), default="scheduler")
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=120.0, help="stop before that many kills")
    parser.add_argument("--tasks", type=int, default=1_000, help="task instances of each round")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    play_to_the_end(Chain(options.victim, kills(options.victim, options.seed), options.tasks), options.kills, options.minutes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
