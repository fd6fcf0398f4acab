"""The ordinal mixed model, as an R script: Python has no cumulative link model with crossed random effects."""

import io
import json
from collections.abc import Sequence

from pellucid.core.spreadsheet import write_row
from pellucid.study.responses import Responses

__all__ = ["RATINGS", "model_script", "ratings_table"]

RATINGS = "ratings.csv"
"""The file beside the script from which it reads."""

_MODEL = r"""
library(ordinal)

ratings <- read.csv(RATINGS, colClasses = "character", encoding = "UTF-8", check.names = FALSE)
# An apostrophe before what a spreadsheet would take for a formula is its sign for text, and no part of a name.
ratings[] <- lapply(ratings, sub, pattern = "^'(?='*[=+@\t\r\n-])", replacement = "", perl = TRUE)
stopifnot(nrow(ratings) > 0)
ratings$condition <- factor(ratings$condition, levels = conditions)
ratings$participant <- factor(ratings$participant)
ratings$image <- factor(ratings$image)

for (name in questions) {
  rated <- droplevels(ratings[ratings$question == name, ])
  rated$answer <- factor(as.integer(rated$answer), ordered = TRUE) # points that nobody chose have no threshold
  cat("\n==== ", name, ": ", nrow(rated), " answers, ", nlevels(rated$participant), " participants, ",
      nlevels(rated$image), " images", note, " ====\n", sep = "")
  model <- clmm(answer ~ condition + (1 + condition | participant) + (1 | image), data = rated, link = "logit")
  without <- clmm(answer ~ 1 + (1 + condition | participant) + (1 | image), data = rated, link = "logit")
  print(summary(model))
  cat("\nLikelihood-ratio test of the condition:\n")
  print(anova(without, model))
  cat("\nOdds ratios of a higher answer against ", conditions[1], ", with 95 % Wald intervals:\n", sep = "")
  shifts <- summary(model)$coefficients
  shifts <- shifts[grepl("^condition", rownames(shifts)), , drop = FALSE]
  error <- qnorm(0.975) * shifts[, "Std. Error"]
  print(cbind(odds = exp(shifts[, "Estimate"]), low = exp(shifts[, "Estimate"] - error),
              high = exp(shifts[, "Estimate"] + error)))
}
"""


def model_script(responses: Responses, *, questions: Sequence[str], synthetic: bool) -> str:
    """An R script that fits each Likert question by a cumulative link mixed model and prints what a paper reports.

    The model is ``answer ~ condition + (1 + condition | participant) + (1 | image)`` with a logit link: people differ
    in how high they rate and in how they take to a condition, images in how high they are rated. It sees single
    answers, and treats both people and images as drawn from more of their kind.

    Args:
        responses: of the participants who are analysed.
        questions: names of Likert questions.
        synthetic: say in the script and in all that it prints that no person answered.

    Returns:
        The script, which reads `ratings_table` from ``ratings.csv`` in the folder it is run in.

    Source: Christensen 2022, R package ordinal, ``clmm``; Barr et al. 2013 for the random slopes.
    """
    title = " ".join(responses.study.title.split())
    mark = ["# SYNTHETIC DATA: simulated raters, no people."] if synthetic else []
    head = [
        f"# Ordinal mixed models of: {title}",
        *mark,
        f"# Written by pellucid. Run in this folder: Rscript mixed_model.R; it reads {RATINGS} and needs R with the",
        '# package ordinal: install.packages("ordinal").',
        "",
        f"RATINGS <- {json.dumps(RATINGS)}",
        f"conditions <- {_vector(responses.study.conditions)} # the first is the one that others are held against",
        f"questions <- {_vector(questions)}",
        f"note <- {json.dumps(', SYNTHETIC' if synthetic else '')}",
    ]
    return "\n".join(head) + "\n" + _MODEL


def ratings_table(responses: Responses, *, questions: Sequence[str], synthetic: bool) -> str:
    """The single answers to Likert questions as CSV: what the script and any other software reads."""
    out = io.StringIO()
    write_row(out, ["data", "participant", "image", "condition", "question", "answer"])
    for answer in responses.answers:
        if answer.question in questions:
            answered = [answer.participant, answer.image, answer.condition, answer.question, f"{answer.value:.0f}"]
            write_row(out, ["SYNTHETIC" if synthetic else "people", *answered])
    return out.getvalue()


def _vector(texts: Sequence[str]) -> str:
    return f"c({', '.join(json.dumps(text, ensure_ascii=False) for text in texts)})"
