"""The ledger of claims as a page to read: one HTML file that needs no other, and a Markdown table for a README."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from convergent.claims import NOT_SUPPORTED, NOT_TESTED, PARTLY, REPORTED, SUPPORTED

NOTHING = "—"  # stands for a number that does not exist
MARKS = {SUPPORTED: "✓", PARTLY: "◐", NOT_SUPPORTED: "✗", NOT_TESTED: "?", "reported": "·"}

# Blue, amber, vermilion and grey stay apart for colour-blind eyes; the words and marks say the same without colour.
STYLE = """
:root { --ink: #1d2733; --paper: #fff; --faint: #5b6673; --line: #d9dfe5; --card: #f5f7f9;
  --yes: #0b5d94; --partly: #8a5a00; --no: #ab3f00; --open: #5b6673; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --paper: #14191f; --faint: #9aa6b2; --line: #313a44;
  --card: #1c232b; --yes: #6bb8ee; --partly: #f0b94a; --no: #ff9360; --open: #9aa6b2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; line-height: 1.2; } h2 { margin: 3rem 0 .25rem; line-height: 1.3; }
p { margin: .25rem 0 1rem; } a { color: inherit; text-underline-offset: .15em; } small, .faint { color: var(--faint); }
ul.summary { list-style: none; margin: 1.5rem 0; padding: 0; display: grid; gap: .5rem; }
ul.summary li { display: grid; grid-template-columns: 2.5rem 1fr max-content; gap: 0 .75rem; align-items: center;
  padding: .7rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line); white-space: nowrap; }
th, td { padding: .55rem .6rem; vertical-align: top; } td { border-bottom: 1px solid var(--line); }
td small { display: block; } td.number { font-variant-numeric: tabular-nums; min-width: 6.5rem; }
td.number span { white-space: nowrap; }
td.statement { min-width: 16rem; } td.criterion { min-width: 14rem; }
.badge { display: inline-block; padding: .1rem .6rem; border: 1.5px solid currentColor; border-radius: 1rem;
  font-size: .82rem; font-weight: 600; white-space: nowrap; }
.supported { color: var(--yes); } .partly-supported { color: var(--partly); } .not-supported { color: var(--no); }
.not-tested, .reported { color: var(--open); font-weight: 400; }
figure { margin: 2rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; background: #fff; }
figcaption { margin-top: .75rem; color: var(--faint); }
@media (max-width: 40rem) { ul.summary li { grid-template-columns: 2.5rem 1fr; } ul.summary .badge { grid-column: 2;
  justify-self: start; } }
"""


# What stands at the head of a page, and in the table that goes into a README.
INTRODUCTIONS = {
    "convergence": "What Li, Yosinski, Clune, Lipson and Hopcroft (2016) concluded, tested in this study by criteria "
    "fixed beforehand. Brackets hold 95 % confidence intervals; the baseline is the same number without training, "
    "unless it says otherwise.",
    "noise": "What Umar and Laio (2026) state in their abstract, which is all that is known of the paper here: the "
    "protocols are reconstructed from it, the criteria are this project's. Of several measures, ratios and sizes the "
    "one furthest from keeping to the bound decides. Brackets hold 95 % intervals over repetitions.",
    "dynamics": "What van Rossem and Saxe (2024) state, by criteria of this project, as the paper gives none. Of "
    "several settings the one furthest from keeping to the bound decides. Brackets hold 95 % intervals over seeds.",
}
# Columns that only some studies fill, and their titles.
OPTIONAL = {"baseline": "Baseline", "published": "Published"}


def claims_page(rows: Sequence[dict], figures: Mapping[str, str | Path], introduction: str) -> str:
    """The ledger as one HTML page that needs no other file.

    Args:
        rows: of `judge`, or read from its table.
        figures: name of a figure -> its PNG; those that do not exist are left out.
        introduction: what the page begins with, one paragraph per line.
    """
    drawn = {row["figure"]: Path(figures[row["figure"]]) for row in rows if row["figure"] in figures}
    drawn = {name: path for name, path in drawn.items() if path.is_file()}
    groups = by_question(rows)
    summary = "\n".join(
        f'<li><a href="#{anchor(head["claim"])}">{text(head["claim"])}</a><span>{text(head["statement"])} '
        f"<small>{text(head['reason'])}</small></span>{badge(head)}</li>"
        for head, _ in groups
    )
    columns = filled(rows)
    sections = "\n".join(question_section(head, claims, drawn, columns) for head, claims in groups)
    paragraphs = "\n".join(f"<p>{text(line)}</p>" for line in introduction.splitlines())
    pictures = "\n".join(picture(name, path) for name, path in sorted(drawn.items()))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Convergent learning: claims and verdicts</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Claims and verdicts</h1>
{paragraphs}
<ul class="summary">
{summary}
</ul>
{sections}
{"<h2>Figures</h2>" if pictures else ""}
{pictures}
</body>
</html>
"""


def by_question(rows: Sequence[dict]) -> list[tuple[dict, list[dict]]]:
    """Each question's row with the rows of its claims."""
    heads = [row for row in rows if "." not in row["claim"]]
    return [(head, [row for row in rows if row["claim"].startswith(f"{head['claim']}.")]) for head in heads]


def filled(rows: Sequence[dict]) -> list[str]:
    """The optional columns in which any row has something."""
    return [name for name in OPTIONAL if any(shown(row, name) != NOTHING for row in rows)]


def shown(row: dict, column: str) -> str:
    """What stands in an optional column: a number, or words."""
    return short(row[column]) if column == "baseline" else str(row[column]) or NOTHING


def question_section(head: dict, claims: list[dict], drawn: Mapping[str, Path], columns: Sequence[str]) -> str:
    """Heading and table of one question, with these of the optional columns."""
    lines = "\n".join(claim_line(row, drawn, columns) for row in claims)
    names = ("Claim", "Criterion", "Measured", *(OPTIONAL[name] for name in columns), "Verdict")
    titles = "".join(f'<th scope="col">{title}</th>' for title in names)
    return f"""<section id="{anchor(head["claim"])}">
<h2>{text(head["claim"])} {badge(head)}</h2>
<p>{text(head["statement"])}</p>
<div class="wide"><table>
<thead><tr>{titles}</tr></thead>
<tbody>
{lines}
</tbody>
</table></div>
</section>"""


def claim_line(row: dict, drawn: Mapping[str, Path], columns: Sequence[str]) -> str:
    """One line of a question's table."""
    figure = ""
    if row["figure"] in drawn:
        figure = f' · <a href="#{anchor(row["figure"])}">figure</a>'
    measured = "<br>".join(f"<span>{text(part)}</span>" for part in with_interval(row).split(" ", 1))
    if row["where"]:
        measured += f"<small>{text(row['where'])}</small>"
    if row["replicates"] not in ("", "none"):
        measured += f"<small>interval over {text(row['replicates'])}</small>"
    further = {name: text(shown(row, name)) for name in columns}
    if "baseline" in further and row["baseline_population"]:
        further["baseline"] += f"<small>{text(row['baseline_population'].replace('_', ' '))}</small>"
    verdict = badge(row)
    if row["reason"] and row["reason"] != REPORTED:
        verdict += f"<small>{text(row['reason'])}</small>"
    if short(row["agreeing_draws"]) != NOTHING:
        verdict += f"<small>also in {100 * float(row['agreeing_draws']):.0f} % of draws of the networks</small>"
    cells = (
        ("statement", f"{text(row['statement'])}<small>{text(row['claim'])} · {text(row['source'])}{figure}</small>"),
        ("criterion", text(row["criterion"])),
        ("number", measured),
        *(("number", content) for content in further.values()),
        ("verdict", verdict),
    )
    return (
        f'<tr id="{anchor(row["claim"])}">'
        + "".join(f'<td class="{name}">{content}</td>' for name, content in cells)
        + "</tr>"
    )


def picture(name: str, path: Path) -> str:
    """A figure with its image inside the page."""
    content = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure id="{anchor(name)}"><img alt="{text(name)}" src="data:image/png;base64,{content}">'
        f"<figcaption>{text(name)}</figcaption></figure>"
    )


def claims_markdown(rows: Sequence[dict]) -> str:
    """The ledger as a Markdown table: questions in bold, and their claims that were measured."""
    columns = filled(rows)
    titles = ("claim", "measured [95 % interval]", *columns, "verdict")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in rows:
        question = "." not in row["claim"]
        if not question and short(row["measured"]) == NOTHING:
            continue
        verdict = shown_verdict(row)
        cells = (
            f"**{row['claim']}. {row['statement']}**"
            if question
            else f"{row['statement']}<br><sub>{row['criterion']}</sub>",
            "" if question else f"{with_interval(row)} {row['where']}",
            *("" if question else shown(row, name) for name in columns),
            f"**{verdict}**" if question else verdict,
        )
        lines.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def questions_markdown(rows: Sequence[dict]) -> str:
    """The questions alone as a Markdown table: what is claimed, the verdict, and how many criteria hold."""
    lines = ["| | what is claimed | verdict here |", "|---|---|---|"]
    for head, _ in by_question(rows):
        cells = (head["claim"], head["statement"], f"**{head['verdict']}**<br><sub>{head['reason']}</sub>")
        lines.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def shown_verdict(row: dict) -> str:
    """The verdict in words; a number without a threshold is not called untested."""
    return "reported" if row["reason"] == REPORTED else row["verdict"]


def badge(row: dict) -> str:
    verdict = shown_verdict(row)
    return f'<span class="badge {verdict.replace(" ", "-")}">{MARKS[verdict]} {verdict}</span>'


def with_interval(row: dict) -> str:
    """The measured number with its interval, if it has one."""
    low, high = short(row["ci_low"]), short(row["ci_high"])
    return short(row["measured"]) + (f" [{low}, {high}]" if low != NOTHING else "")


def short(number: object) -> str:
    """A number for readers, with three digits; a dash for none."""
    if number in ("", None) or np.isnan(float(number)):
        return NOTHING
    return f"{float(number):.3g}"


def anchor(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name)


def text(content: object) -> str:
    return html.escape(str(content))
