"""`python -m tests.museum` prints the bugs and the mutants, and fails if anything is not as the museum says."""

import sys
import time

from tests.museum import mutants, patching
from tests.museum.bugs import EXHIBITS, in_words, seen, shown


def bugs() -> bool:
    """The first table: each bug, where it sits, and what finds it."""
    rows = [(exhibit.where, exhibit.what, in_words(exhibit.at)) for exhibit in EXHIBITS]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = "{:>2}  " + "  ".join(f"{{:{width}}}" for width in widths) + "  {:61}  {:>3}"
    print(line.format("", "where", "what", "instance", "found by", "s"))
    good = True
    for number, exhibit in enumerate(EXHIBITS, 1):
        found = shown(exhibit)
        caught = exhibit.by in found.reasons
        good &= caught
        by = found.words[found.reasons.index(exhibit.by)] if caught else f"NOT by {exhibit.by}: {found.words}"
        print(line.format(number, *rows[number - 1], by, f"{found.seconds:.1f}"), flush=True)
    return good


def correct() -> bool:
    """The second table: the same instances without a bug."""
    print("\nWithout a bug")
    good = True
    for words, instance in {in_words(exhibit.at): exhibit.at for exhibit in EXHIBITS}.items():
        found = seen(instance)
        good &= not found.reasons
        print(f"  {words:60} {'; '.join(found.words) or 'no alarm'}", flush=True)
    return good


def changed() -> bool:
    """The third table: how many mutants of each protocol are killed, and who survives."""
    results = [mutants.judged(mutant) for mutant in mutants.chosen()]
    print(f"\n{len(results)} mutants")
    for protocol in (*mutants.INSTANCES, "all"):
        mine = [result for result in results if protocol in (result.mutant.protocol, "all")]
        killed, crashed = (sum(result.by is not None for result in mine), sum(result.crashed for result in mine))
        how = f", {crashed} because they do not run" if crashed else ""
        print(f"  {protocol:20} killed {killed:>2} of {len(mine)}{how}")
    survivors = {result.mutant.title: result.alike for result in results if result.by is None}
    for title, alike in survivors.items():
        _, why = mutants.SURVIVORS.get(title, (alike, "NOT LISTED"))
        print(f"  {'equivalent' if alike else 'finding':10}  {title}\n              {why}")
    crashes = sum(result.crashed for result in results)
    listed = {title: alike for title, (alike, _) in mutants.SURVIVORS.items()}
    return survivors == listed and crashes == mutants.CRASHES


def main() -> int:
    began = time.perf_counter()
    good = []
    for table in (bugs, correct, changed):
        with patching.quick():
            good.append(table())
    print(f"\n{time.perf_counter() - began:.0f} s")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
