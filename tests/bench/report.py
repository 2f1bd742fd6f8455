"""What the rounds come to: a table of medians, and how far millrace is ahead in each round."""
import statistics

from brokers import Kafka, Millrace
from rows import ROWS

QUIET_PERCENT = 3  # of a core, used by whatever else runs: above, figures with the kernel's CPU are noise


def ratio(metric, kafka, millrace):
    """How many times better millrace is; None when nothing can be said."""
    better, worse = (millrace, kafka) if metric.better > 0 else (kafka, millrace)
    return better / worse if metric.better and worse > 0 else None


def say_how_quiet(results):
    beside = [side["idle_cpu_beside"] for rounds in results.values() for r in rounds for side in r.values()
              if side and "idle_cpu_beside" in side]
    if not beside:
        return
    median = statistics.median(beside)
    advice = ('the machine is quiet: read "kernel too"' if median <= QUIET_PERCENT
              else 'the machine is NOT quiet: of the CPU figures read "broker", and trust no latency')
    print(f"\nbeside broker and load the machine used {median:.1f} % of a core (most: {max(beside):.1f} %): {advice}")


def table(names, results):
    say_how_quiet(results)
    print(f"\n{'':<40}{'kafka':>12}{'millrace':>12}{'goal':>8}   millrace ahead: median (rounds)")
    for name in names:
        row = ROWS[name]
        print(f"{row.title}  [{name}]")
        for m in row.metrics:
            print(line(m, results[name]))


def line(metric, rounds):
    cells = []
    for side in [Kafka.name, Millrace.name]:
        values = [r[side][metric.key] for r in rounds if r.get(side)]
        cells.append(f"{statistics.median(values):,.{metric.digits}f}" if values else "-")
    goal = f"{metric.goal:g} x" if metric.goal else ""
    ratios = [x for r in rounds if r.get(Kafka.name) and r.get(Millrace.name)
              if (x := ratio(metric, r[Kafka.name][metric.key], r[Millrace.name][metric.key])) is not None]
    ahead = f"   {statistics.median(ratios):>7.2f} x ({' '.join(f'{x:.2f}' for x in ratios)})" if ratios else ""
    return f"  {metric.title:<38}{cells[0]:>12}{cells[1]:>12}{goal:>8}{ahead}"
