"""The findings of a study as a folder: a page, figures, tables, every number, and the mixed model's script."""

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pellucid import __version__
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.core.spreadsheet import write_row
from pellucid.statistics import Interval
from pellucid.study import words
from pellucid.study.analysis import analyse
from pellucid.study.design import Study
from pellucid.study.figures import Drawing, drawings, panel, write_drawing
from pellucid.study.mixed_model import RATINGS, model_script, ratings_table
from pellucid.study.responses import read_responses
from pellucid.study.results import Analysis, Result

__all__ = ["page", "tables", "write_findings"]


def write_findings(
    export: str | Path,
    out: str | Path,
    *,
    synthetic: bool = False,
    extra: Sequence[str] = (),
    bounds: Mapping[str, float] | None = None,
    resamples: int = 2000,
) -> Path:
    """Analyse an export folder as it was registered and write what was found.

    Args:
        export: folder that `pellucid study export` wrote.
        out: folder to write: ``findings.html``, ``findings.json``, ``figures/``, ``tables/``, ``mixed_model.R``,
            ``ratings.csv``. With synthetic raters each of them says SYNTHETIC.
        synthetic: accept simulated raters.
        extra: questions to test that were not planned.
        bounds: margins of equivalence tests that were not planned, by question.
        resamples: of every bootstrap, at least 100.

    Returns:
        The page.

    Raises:
        InputError: as in `read_responses` and `analyse`; fewer than 100 resamples, ``out`` inside the export.
    """
    export, out = Path(export), Path(out)
    if resamples < 100:
        raise InputError(f"resamples must be at least 100, got {resamples}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; the findings are a folder")
    if (out / "study.yaml").exists():
        raise InputError(f"{out} holds a study's own files; write the findings to another folder")
    analysis, kept = analyse(
        read_responses(export), synthetic=synthetic, extra=extra, bounds=bounds, resamples=resamples
    )
    ratings = {question.name: kept.ratings(question.name) for question in analysis.study.questions}
    drawn = drawings(analysis, ratings)
    likert = [question.name for question in analysis.study.questions if question.kind == "likert"]
    texts = {f"tables/{name}.csv": _csv(rows, analysis.synthetic) for name, rows in tables(analysis).items() if rows}
    texts["findings.json"] = json.dumps(_plain(analysis), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if likert:
        texts["mixed_model.R"] = model_script(kept, questions=likert, synthetic=analysis.synthetic)
        texts[RATINGS] = ratings_table(kept, questions=likert, synthetic=analysis.synthetic)
    texts["findings.html"] = page(analysis, drawn)
    for drawing in drawn:
        write_drawing(drawing, out / "figures")
    for name, text in texts.items():  # the page last: where it is, all is
        with whole_file(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return out / "findings.html"


def page(analysis: Analysis, drawn: Sequence[Drawing]) -> str:
    """The findings as one HTML page that needs no other file and no network."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown: dict[str, Callable[..., str]] = {
        "interval": words.interval,
        "number": lambda value: "–" if math.isnan(value) else f"{value:.2f}",
        "p_value": words.p_value,
        "signed": words.signed,
    }
    environment.globals |= shown
    here = files("pellucid.study")
    style = "".join(
        folder.joinpath(name).read_text(encoding="utf-8")
        for folder, name in ((files("pellucid.report"), "page.css"), (here, "findings.css"))
    )
    template = environment.from_string(here.joinpath("findings.html").read_text(encoding="utf-8"))
    return template.render(style=Markup(style), **_content(analysis, drawn))


def tables(analysis: Analysis) -> dict[str, list[dict[str, Any]]]:
    """Every table of the findings by name: rows of columns in full precision."""
    flow = analysis.flow
    return {
        "exclusions": [
            {"rule": "began", "words": "began", "left_out": 0, "meeting": flow.began, "unknown": 0},
            *(
                {"rule": step.rule, "words": step.words, "left_out": step.excluded}
                | {"meeting": step.meeting, "unknown": step.unknown}
                for step in flow.steps
            ),
            {"rule": "withdrawn", "words": "withdrew, not among those who began", "left_out": flow.withdrawn},
            {"rule": "analysed", "words": "are analysed", "left_out": 0, "meeting": len(flow.kept), "unknown": 0},
        ],
        "answers": [
            {
                "question": description.question,
                "condition": description.condition,
                "predictions": description.subset,
                "participants": description.n,
                "answers": description.answers,
                **_ends("mean", description.mean),
                "sd": description.spread,
                "median": description.median,
                **{f"share_{point}": share for point, share in enumerate(description.shares, start=1)},
            }
            for description in analysis.descriptions
        ],
        "tests": [
            {
                "question": result.question,
                "test": result.test,
                "planned": result.registered,
                "n": result.n,
                "statistic": result.statistic,
                "p": result.p,
                "corrected_p": result.corrected_p,
                "alpha": result.alpha,
                **_ends("kendalls_w", result.w),
            }
            for result in analysis.results
        ],
        "pairs": [
            {
                "question": result.question,
                "condition": pair.condition,
                "against": pair.against,
                "n": pair.n,
                "zeros": pair.zeros,
                "v": pair.statistic,
                "p": pair.p,
                "corrected_p": pair.corrected_p,
                "differ": result.found(pair),
                **_ends("shift", pair.shift),
                **_ends("rank_biserial", pair.effect),
                **_ends("mean_difference", pair.difference),
                "two_way_low": pair.two_way.low,
                "two_way_high": pair.two_way.high,
                "equivalence_margin": pair.bound,
                "equivalence_p": pair.equivalence_p,
            }
            for result in analysis.results
            for pair in result.pairs
        ],
        "agreement": [
            {
                "question": agreement.question,
                **_ends("krippendorffs_alpha", agreement.alpha),
                "pictures": agreement.alpha.n,
                "icc_2_1": agreement.single,
                "icc_2_k": agreement.average,
                "k": agreement.raters,
                "groups": agreement.groups,
            }
            for agreement in analysis.agreement
        ],
        "expertise": [
            {
                "expertise": covariate.expertise,
                "answer": covariate.level,
                "question": covariate.question,
                "condition": condition,
                "n": covariate.n,
                **_ends("mean", mean),
            }
            for covariate in analysis.expertise
            for condition, mean in zip(analysis.study.conditions, covariate.means, strict=True)
        ],
    }


def _content(analysis: Analysis, drawn: Sequence[Drawing]) -> dict[str, Any]:
    study, flow, results = analysis.study, analysis.flow, analysis.results
    remain, steps = flow.began, []
    for step in flow.steps:
        remain -= step.excluded
        steps.append(asdict(step) | {"remain": remain})
    groups = max((agreement.groups for agreement in analysis.agreement), default=0)
    panels = {
        kind: [panel(drawing) for drawing in drawn if drawing.name.startswith(f"{kind}-")]
        for kind in ("answers", "differences")
    }
    several = any(result.w is not None for result in results)
    return {
        "study": study,
        "synthetic": analysis.synthetic,
        "who": "synthetic raters" if analysis.synthetic else "participants",
        "flow": flow,
        "steps": steps,
        "withdrawn": f"{flow.withdrawn} more withdrew; what they answered was deleted." if flow.withdrawn else "",
        "headline": words.headline(analysis),
        "verdicts": [_verdict(result, study) for result in results],
        "registration": analysis.registration,
        "deviations": analysis.deviations,
        "panels": panels,
        "descriptions": analysis.descriptions,
        "split": any(description.subset != "all" for description in analysis.descriptions),
        "results": results,
        "friedmans": [result for result in results if result.w is not None],
        "shares": any(study.question(result.question).kind != "likert" for result in results),
        "bounded": any(pair.bound is not None for result in results for pair in result.pairs),
        "pair_caption": "Every two conditions: Wilcoxon’s signed-rank test (Pratt, exact); corrected p: Holm’s method "
        + ("over the pairs of the question" if several else "over the questions")
        + ". Intervals are 95 % bootstrap intervals. ★ differ at the planned level"
        + (", the question’s own test included." if several else "."),
        "agreement": analysis.agreement,
        "grouped": groups if groups > 1 else 0,
        "expertise": [
            replace(covariate, expertise=words.label(covariate.expertise)) for covariate in analysis.expertise
        ],
        "methods": words.methods(analysis),
        "pellucid": __version__,
        "scipy": version("scipy"),
    }


def _verdict(result: Result, study: Study) -> dict[str, Any]:
    question = study.question(result.question)
    return {
        "title": words.label(result.question),
        "asked": question.text.get("en") or next(iter(question.text.values())),
        "registered": result.registered,
        "sentence": words.result_sentence(result),
        "pairs": [words.pair_sentence(result, pair, kind=question.kind) for pair in result.pairs],
    }


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _csv(rows: Sequence[Mapping[str, Any]], synthetic: bool) -> str:
    """Rows as CSV; the first column says whether people answered."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    out = io.StringIO()
    write_row(out, ["data", *columns])
    for row in rows:
        write_row(out, ["SYNTHETIC" if synthetic else "people", *(row.get(column) for column in columns)])
    return out.getvalue()


def _plain(analysis: Analysis) -> dict[str, Any]:
    """The whole analysis as data for JSON; a number that does not exist is None."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: clean(content) for key, content in value.items()}
        if isinstance(value, list | tuple):
            return [clean(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    data: dict[str, Any] = clean(
        {
            "data": "SYNTHETIC" if analysis.synthetic else "people",
            "study": {"title": analysis.study.title, "version": analysis.study.version},
            "registration": analysis.registration,
            "deviations": analysis.deviations,
            "headline": words.headline(analysis),
            "methods": words.methods(analysis),
            "participants": {"began": analysis.flow.began, "analysed": len(analysis.flow.kept)},
            "resamples": analysis.resamples,
            "pellucid": __version__,
            **tables(analysis),
        }
    )
    return data
