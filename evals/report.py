"""evals/results/*.json -> the measured part of docs/evals.md.

`python -m evals.report` (part of `make docs`) rewrites it in place.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tools.settings_docs import between

ROOT = Path(__file__).resolve().parent.parent
PAGE, RESULTS = ROOT / "docs" / "evals.md", ROOT / "evals" / "results"
MARKS = ("<!-- measured: written by `make docs` from evals/results -->\n", "<!-- measured end -->\n")
VARIANTS = {
    "no_memory": "no memory",
    "published_minilm": "MiniLM as published",
    "embedding": "embedding the words only",
    "echoic": "**Echoic**",
    "mem0_async_search": "`mem0.AsyncMemory.search`",
}
LOADS = {"closed": "back to back", "paced": "one question every 0.5–1.5 s"}
CATEGORIES = {"1": "several turns", "2": "dates", "3": "open", "4": "one turn", "5": "not answerable"}
"""LoCoMo numbers its kinds of question."""


def main() -> None:
    PAGE.write_text(between(PAGE.read_text(), MARKS, measured(RESULTS)))


def measured(results: Path) -> str:
    """Markdown of every result there is; one that is missing is left out, and said so when there is none."""
    parts = [
        *(_latency(_read(path)) for path in sorted(results.glob("latency*.json"))),
        *(_locomo(_read(path)) for path in sorted(results.glob("locomo*.json"))),
        *(_beam(_read(path)) for path in sorted(results.glob("beam*.json"))),
        *(_languages(_read(path)) for path in sorted(results.glob("languages*.json"))),
        *(_names(_read(path)) for path in sorted(results.glob("names*.json"))),
        *_extraction([_read(path) for path in sorted(results.glob("extraction*.json"))]),
        *(_temporal(_read(path)) for path in sorted(results.glob("temporal*.json"))),
        *(_graph(_read(path)) for path in sorted(results.glob("graph*.json"))),
        *(_faults(_read(path)) for path in sorted(results.glob("faults*.json"))),
        *_voice([_read(path) for path in sorted(results.glob("voice*.json"))]),
        *(_takeover(_read(path)) for path in sorted(results.glob("takeover*.json"))),
        *(_kills(_read(path)) for path in sorted(results.glob("kills*.json"))),
        *(_footprint(_read(path)) for path in sorted(results.glob("footprint*.json"))),
        *(_api(_read(path)) for path in sorted(results.glob("api*.json"))),
    ]
    return "\n".join(parts) if parts else "Nothing measured yet: `make bench`.\n"


def _read(path: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def _latency(result: dict[str, Any]) -> str:
    rows = {(row["load"], row["calls"], row["variant"]): row for row in result["rows"]}
    lines = [
        "**Time memory adds to a reply**, "
        f"in ms as p50 / p95 / p99{_origin(result, 'python -m evals.latency')}",
        "",
        "| Calls at once | " + " | ".join(VARIANTS.values()) + " | n |",
        "|---|" + "---|" * (len(VARIANTS) + 1),
    ]
    for load, calls in sorted(
        {(load, calls) for load, calls, _ in rows}, key=lambda pair: (list(LOADS).index(pair[0]), pair[1])
    ):
        cells = [_times(rows.get((load, calls, variant))) for variant in VARIANTS]
        echoic = rows.get((load, calls, "echoic"), {})
        lines.append(f"| {calls}, {LOADS[load]} | {' | '.join(cells)} | {echoic.get('n', '–')} |")
    lines += ["", *_besides(result)]
    return "\n".join(lines) + "\n"


def _besides(result: dict[str, Any]) -> Iterator[str]:
    stall, captured = result["loop_stall_ms"], result["captured_ms"]
    bare = (
        f" ({_ms(stall['bare']['p99'])} and {_ms(stall['bare']['max'])} with the embedding only)"
        if "bare" in stall
        else ""
    )
    timers = f"{_ms(stall['p99'])} ms at p99 and {_ms(stall['max'])} ms at most{bare}"
    yield f"Timers of the event loop were late by {timers}."
    yield f"A turn is durable after {_ms(captured['p50'])} ms at p50, {_ms(captured['p99'])} ms at p99."
    if load_ms := result.get("load_ms"):
        loading = f"{_ms(load_ms['p50'])} ms at p50, {_ms(load_ms['p95'])} ms at p95"
        yield f"Loading a caller's memory when a call starts takes {loading}."


def _locomo(result: dict[str, Any]) -> str:
    cuts = sorted(result["recall_at"], key=int)
    head = [f"first {cut}" for cut in cuts]
    lines = [
        f"**Finding the right turn** among a long history (LoCoMo, {result['questions']} questions)"
        f"{_origin(result, 'python -m evals.locomo --data FILE')}",
        "",
        "| | " + " | ".join(head) + " |",
        "|---|" + "---|" * len(head),
        "| share of the evidence found | "
        + " | ".join(_share(result["recall_at"][cut]) for cut in cuts)
        + " |",
        "| questions with at least one evidence turn | "
        + " | ".join(_share(result["hit_at"][cut]) for cut in cuts)
        + " |",
    ]
    lines += _by_category(result.get("by_category", {}))
    lines += [
        "",
        f"One search takes {_ms(result['p50_ms'])} ms at p50 and {_ms(result['p95_ms'])} ms at p95, "
        f"of which embedding the question alone is {_ms(result['embedding_p50_ms'])} ms. "
        "No language model and no re-ranker stand on this path. The ranking's form and constants were chosen "
        "on these conversations: expect less elsewhere.",
    ]
    return "\n".join(lines) + "\n"


def _by_category(categories: dict[str, Any]) -> Iterator[str]:
    for number, found in sorted(categories.items()):
        if isinstance(found, dict) and "recall_at" in found:
            cuts = sorted(found["recall_at"], key=int)
            name = CATEGORIES.get(str(number), str(number))
            asked = f", {found['questions']} questions" if "questions" in found else ""
            yield (
                f"| evidence found, {name}{asked} | "
                + " | ".join(_share(found["recall_at"][cut]) for cut in cuts)
                + " |"
            )


def _beam(result: dict[str, Any]) -> str:
    rows = [*result["by_ability"].items(), ("all that can be answered", result)]
    lines = [
        f"**Long chats** ({result['chats']} of BEAM's, {result['turns']} turns, nothing learned from them)"
        f"{_origin(result, 'python -m evals.beam --data FOLDER')}",
        "",
        "| Asked for | questions | evidence in the first 10 turns | at least one evidence turn |",
        "|---|---|---|---|",
        *(
            f"| {name.replace('_', ' ')} | {row['questions']} | {_share(row['recall_at_10'])} | "
            f"{_share(row['hit_at_10'])} |"
            for name, row in rows
        ),
        "",
        "How much the words of a question count was chosen with these chats in view.",
    ]
    if result["changed"]:
        lines.append(
            f"Of {result['changed']} things that changed, the change stands above what was told first for "
            f"{_share(result['updated_above'])}."
        )
    if margin := result["abstention"]:
        lines.append(
            f"The best score is {margin['answerable']:.2f} at the median, and {margin['not_answerable']:.2f} "
            f"for {margin['questions']} questions that have no answer: in {_share(margin['told_apart'])} of "
            "all pairs the answerable one has the higher score (0.5 is chance)."
        )
    return "\n".join(lines) + "\n"


def _languages(report: dict[str, Any]) -> str:
    rows = [
        f"| {code} | {_first(row)} | {_first(row['asked_in_others'])} |"
        for code, row in report["languages"].items()
    ]
    lines = [
        "**Found in the caller's own language, and across**"
        f"{_origin(report, 'python -m evals.languages')}. Each language's 40 facts are one caller's turns; "
        "the sealed half of 60 questions is asked in the same language, and in each of the others: whose "
        "fact comes first / is among the first five. Neither local model knows Hindi.",
        "",
        "| Facts in | same language | asked in the others |",
        "|---|---|---|",
        *rows,
        f"| mean of all but en | {_first(report['others'])} | {_first(report['across'])} |",
        "",
    ]
    return "\n".join(lines)


def _names(report: dict[str, Any]) -> str:
    rows = [
        f"| {voice} | {_first(row['before'])} | {_first(row['after'])} | {row['n']} |"
        for voice, row in report["voices"].items()
    ]
    ordinary = report["ordinary"]
    lines = [
        f"**Names that were misheard**{_origin(report, 'python -m evals.names')}. Questions about people "
        "with rare names, told of among 160 other turns; spoken by three voices, heard by Moonshine: whose "
        f"turn comes first / is among the first five. Of {ordinary['n']} ordinary sentences, a word was "
        f"taken for another in {ordinary['written']}, as Moonshine heard them in {ordinary['heard']}.",
        "",
        "| Voice | by letters | by sound too | n |",
        "|---|---|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines)


def _first(row: dict[str, float]) -> str:
    return f"{row['hit_1']:.2f} / {row['hit_5']:.2f}"


def _extraction(results: list[dict[str, Any]]) -> Iterator[str]:
    """The sealed half first: the other one was tuned on."""
    if not results:
        return
    order = {"sealed": 0, "open": 1}
    results.sort(key=lambda one: (one["model"] != "replay", order.get(one.get("half", ""), 2), -one["cases"]))
    lines = [
        f"**What is learned** from exchanges{_origin(results[0], 'python -m evals.extraction')}. "
        "The `sealed` half was run when all was chosen; smaller sets are harder. A `replay` brings its "
        "answers: `survived` are the right ones that were learned, `refused` the wrong ones that were not. "
        "The four shares in the middle are HaluMem's.",
        "",
        "| Model, commit | exchanges | extraction recall | extraction accuracy | update correctness | "
        "false-memory resistance | true facts ended | survived | refused | seconds, tokens an exchange |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        names = "extraction_recall extraction_accuracy update_correctness false_memory_resistance".split()
        shares = " | ".join(_share(result[name]) for name in names)
        replayed = " | ".join(_share(result[key]) if key in result else "" for key in ("survived", "refused"))
        model = ", ".join(filter(None, map(result.get, ("model", "extractor", "grade", "commit"))))
        cost = f"{result['seconds_per_case']:.1f}, {result['tokens_per_case']}"
        kind = f" `{result['only']}…`" if result.get("only") else ""
        kind += f", one in {result['one_in']}" if result.get("one_in", 1) > 1 else ""
        where = f"`{result.get('data', 'extraction')}`, {result.get('half', 'all')}{kind}, {result['cases']}"
        lines.append(f"| {model} | {where} | {shares} | {result['wrongly_closed']} | {replayed} | {cost} |")
    yield "\n".join(lines) + "\n"


def _temporal(result: dict[str, Any]) -> str:
    shares = [
        f"{result[key]:.3f} {name}"
        for key, name in (("facts_only", "from facts and turns alone"), ("with_graph", "with the graph"))
    ]
    return (
        f"**What was true when**: of {result['n']} questions over planted histories, "
        f"the right dated fact and no stale one reached the reply for {' and '.join(shares)}, "
        f"learned by {result['model']}{_origin(result, 'python -m evals.temporal --graph')}.\n"
    )


def _graph(result: dict[str, Any]) -> str:
    lines = [
        "**Searching the graph** of one user, beside the library's own "
        f"search{_origin(result, 'python -m evals.graph')}",
        "",
        "| Server, relations, searches at once | **ours**, p50 / p95 ms | the library's | **our** recall at "
        "5 | the library's |",
        "|---|---|---|---|---|",
    ]
    by_place: dict[str, dict[str, dict[str, Any]]] = {}
    for row in result["rows"]:
        by_place.setdefault(f"{row['backend']}, {row['edges']:,}, {row['calls']}", {})[row["form"]] = row
    for place, forms in by_place.items():
        rows = [forms[form] for form in ("ours", "library")]
        times = [f"{_ms(row['p50_ms'])} / {_ms(row['p95_ms'])}" for row in rows]
        lines.append(
            f"| {place} | {' | '.join([*times, *(format(row['recall_at_5'], '.2f') for row in rows)])} |"
        )
    return "\n".join(lines) + "\n"


def _faults(result: dict[str, Any]) -> str:
    lines = [
        f"**A part of memory is slow, hung or down**; the budget is {result['budget_ms']} "
        f"ms{_origin(result, 'python -m evals.faults')}",
        "",
        "| Calls back to back: 1 / 16 | to the model, p50 ms | longest recall, ms | replies that waited in "
        "vain | lines recalled |",
        "|---|---|---|---|---|",
    ]
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in result["rows"]:
        by_name.setdefault(row["variant"], []).append(row)
    for name, rows in by_name.items():
        shown = [
            [_ms(row["p50_ms"]), _ms(row["recall_max_ms"]), str(row["waited_a_call"]), f"{row['lines']:.1f}"]
            for row in rows
        ]
        lines.append(
            f"| {name} | {' | '.join(' / '.join(figures) for figures in zip(*shown, strict=True))} |"
        )
    return "\n".join(lines) + "\n"


def _voice(results: list[dict[str, Any]]) -> Iterator[str]:
    if not results:
        return
    lines = [
        "**First sound of a reply in a real room**, "
        f"after the caller's last word{_origin(results[0], 'python -m evals.voice')}",
        "",
        "| Ears, model and voice | turns | without memory, ms p50 / p95 | **with memory** "
        "| model calls a turn | memory added, ms p50 / p95 | where the last partial held every word "
        "| prefetched lookups: hit, late, wasted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        ours, plain, prefetch = result["with_memory"], result["without_memory"], result["prefetch"]
        cells = [
            result.get("models", "scripted"),
            result["turns"],
            _two(plain["first_audio_ms"]),
            _two(ours["first_audio_ms"]),
        ]
        cells += [
            f"{plain['llm_calls_per_turn']:.2f}, {ours['llm_calls_per_turn']:.2f}",
            _two(result["added_ms"]),
        ]
        equal = result["added_ms_final_equal"]
        cells += [
            f"{_two(equal)} ({equal['share']:.0%} of turns)",
            f"{prefetch['hit']}, {prefetch['late']}, {prefetch['wasted']}",
        ]
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    yield "\n".join(lines) + "\n"


def _takeover(result: dict[str, Any]) -> str:
    silence = result["silence_s"]
    return (
        "When an agent's process is killed in the middle of a call, its caller hears nothing "
        f"for {silence['p50']:.2f} s at p50 and {silence['max']:.2f} s at most "
        f"of {result['n']} times{_origin(result, 'python -m evals.takeover')}.\n"
    )


def _kills(result: dict[str, Any]) -> str:
    during = result["postgres"]
    return (
        f"A process that records was killed {result['kills']} times, {during.get('is halted', 0)} times with "
        f"Postgres halted and {during.get('is killed', 0)} times with Postgres killed too: of "
        f"{result['acknowledged']} acknowledged turns {result['lost']} were lost, {result['doubled']} "
        f"doubled and {result['misplaced']} misplaced{_origin(result, 'python -m evals.kills')}.\n"
    )


def _footprint(result: dict[str, Any]) -> str:
    added = ", ".join(f"{megabytes:.0f} MB at {calls}" for calls, megabytes in result["rss_added_mb"].items())
    server = f"{result['once_a_host']['embedding_server_rss_mb']:.0f} MB once"
    return (
        f"Memory adds to the resident size of a call process, by calls at once: {added}; "
        f"the embedding server of a host takes {server}{_origin(result, 'python -m evals.footprint')}.\n"
    )


def _two(times: dict[str, float]) -> str:
    return f"{_ms(times['p50'])} / {_ms(times['p95'])}"


def _api(result: dict[str, Any]) -> str:
    lines = [
        f"**The memory API**, {result['facts']:,} facts, one client, "
        f"in ms as p50 / p95 / p99{_origin(result, 'python -m evals.api')}",
        "",
        "| Asked | Answered after | n |",
        "|---|---|---|",
        *(
            f"| {name} | {row['p50']:.1f} / {row['p95']:.1f} / {row['p99']:.1f} | {row['n']} |"
            for name, row in result["routes"].items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _origin(result: dict[str, Any], command: str) -> str:
    """` (21 Nov 2026, commit abc1234, 2 cores …, command)`, as far as the result says."""
    commit = f"commit {result['commit']}" if result.get("commit") else ""
    known = [str(part) for part in (_day(result), commit, result.get("hardware")) if part]
    return f" ({', '.join([*known, f'`{command}`'])})"


def _day(result: dict[str, Any]) -> str:
    if "measured_at" in result:
        return f"{datetime.fromisoformat(result['measured_at']):%d %b %Y}"
    return str(result.get("date", ""))


def _times(row: dict[str, Any] | None) -> str:
    return f"{_ms(row['p50_ms'])} / {_ms(row['p95_ms'])} / {_ms(row['p99_ms'])}" if row else "–"


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
