"""`./dev bench [name …] [--json]`: measures ours beside its limit, prints a table or JSON."""

import argparse
import json
import sys
from collections.abc import Sequence

from tests.bench import consumer, growth, intake, journey, kpi, relay
from tests.bench.ground import prepared
from tests.bench.measure import Result, table

BENCHES = {
    "intake": intake.measure,
    "relay": relay.measure,
    "consumer": consumer.measure,
    "kpi": kpi.measure,
    "journey": journey.measure,
    "growth": growth.measure,
}


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks asked for (all but growth, without a name); return 0."""
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar=f"{{{','.join(BENCHES)}}}")
    parser.add_argument("--json", action="store_true", help="print JSON: name -> ours, limit, ratio, unit, rounds, …")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of each benchmark")
    options = parser.parse_args(arguments)
    results: list[Result] = []
    with prepared(options.rounds) as ground:
        for name in options.names or [name for name in BENCHES if name != "growth"]:
            found = BENCHES[name](ground)
            results += found
            sys.stderr.write(table(found) + "\n")
    documents = {result.name: result.document() for result in results}
    sys.stdout.write((json.dumps(documents, indent=1) if options.json else table(results)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
