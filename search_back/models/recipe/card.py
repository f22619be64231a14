"""Write the measured figures into the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CARD_FILE = "README.md"
START, END = "<!-- figures: written by the recipe -->", "<!-- end of figures -->"

_ROLES = {
    "twemoji": "Twemoji (never trained)",
    "openmoji": "OpenMoji (never trained)",
    "noto": "Noto (trained, the bundled pictures)",
    "noto_v1": "Noto, first version (trained)",
    "fluent_flat": "Fluent, flat (trained)",
    "fluent": "Fluent, colour (trained)",
    "fxemoji": "FxEmoji (trained)",
}
_LANGUAGES = {"de": "German", "fr": "French", "es": "Spanish", "ru": "Russian"}
_MEASURED = ("twemoji", "openmoji", "noto")


def update_card(folder: Path, figures: dict[str, Any]) -> None:
    """Replace what stands between the markers; raises `ValueError` where they are not there."""
    card = folder / CARD_FILE
    text = card.read_text(encoding="utf-8")
    before, opened, rest = text.partition(START)
    _, closed, after = rest.partition(END)
    if not (opened and closed):
        raise ValueError(f"{card} has no lines {START!r} and {END!r}: put them back")
    card.write_text(f"{before}{START}\n{figures_text(figures)}\n{END}{after}", encoding="utf-8")


def figures_text(figures: dict[str, Any]) -> str:
    """The figures as Markdown tables."""
    styles, bundled = figures["styles"], figures["bundled"]
    training, curated = figures["training"], bundled["curated"]
    parts = [
        f"Weights `{figures['weights_sha256'][:12]}…`, {training['steps']:,} steps of "
        f"{training['batch']} pictures, {training['minutes']:.0f} minutes.",
        "",
        "English names to pictures (one right answer among the gallery):",
        "",
        "| style | gallery | R@1 | R@5 | R@10 |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {role} | {styles[style]['gallery']:,} | {_recall(styles[style]['names_en'])} |"
            for style, role in _ROLES.items()
        ),
        "",
        "Names in other languages, R@5:",
        "",
        "| style | " + " | ".join(_LANGUAGES.values()) + " |",
        "| --- |" + " --- |" * len(_LANGUAGES),
        *(
            f"| {_ROLES[style]} | "
            + " | ".join(f"{styles[style][f'names_{code}']['r5']}" for code in _LANGUAGES)
            + " |"
            for style in _MEASURED
        ),
        "",
        "Keywords and categories (several right answers; mean average precision, a right answer "
        "among the first five, share of right answers among the first five):",
        "",
        "| style | queries | mAP | hit@5 | P@5 |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {_ROLES[style]}, English {kind} | {_relevance(styles[style][f'{kind}_en'])} |"
            for style in _MEASURED
            for kind in ("keywords", "categories")
        ),
        "",
        f"Over all {bundled['pictures']:,} bundled pictures (emoji and scenes in one gallery):",
        "",
        "| queries | number | R@1 | R@5 | R@10 |",
        "| --- | --- | --- | --- | --- |",
        f"| names of emoji | {bundled['emoji_names']['queries']:,} | "
        f"{_recall(bundled['emoji_names'])} |",
        f'| scenes, as "X and Y" | {bundled["scene_names"]["queries"]:,} | '
        f"{_recall(bundled['scene_names'])} |",
        "",
        f"Curated queries (`recipe/curated.py`): {curated['hit_at_5']} % of {curated['queries']} "
        "have a right picture among the first five ("
        + ", ".join(f"{kind} {share}" for kind, share in curated["by_kind"].items())
        + ").",
        "",
        "Picture to picture, the same emoji found in Noto's style by its drawing in another, "
        "R@1/5/10: "
        + "; ".join(
            f"{style} {found['r1']}/{found['r5']}/{found['r10']}"
            for style, found in figures["image_to_image"].items()
        )
        + ".",
    ]
    return "\n".join(parts)


def _recall(found: dict[str, Any]) -> str:
    return f"{found['r1']} | {found['r5']} | {found['r10']}"


def _relevance(found: dict[str, Any]) -> str:
    return (
        f"{found['queries']:,} | {found['map']:.2f} | {found['hit_at_5']} | "
        f"{found['precision_at_5']}"
    )
