#!/usr/bin/env python3
"""Lets Hugging Face's own Python client read each card that the crate writes.

It writes the cards (`cargo run --example write_cards`), makes a virtual environment with huggingface_hub beside them,
loads each card, compares all keys that are not ours and the body, and asks the client's own filter by emissions
whether it finds the value that was written. It fails when nothing was compared.

Usage: python3 crates/sootprint-card/tests/hub_reads_cards.py
"""

import json
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "python"))
from hub_client import ROOT, TARGET, VERSION, run_with_client  # noqa: E402

OURS = {"co2_eq_emissions", "dia_report", "dia_version"}
# The client takes the text below an empty front matter for YAML, and no more once there is one.
MISREAD_BEFORE = {"02-empty-block-with-a-rule-below": {"text": "body"}}


def main():
    run_with_client(__file__)

    cards = TARGET / "cards-for-huggingface_hub"
    cargo = ["cargo", "run", "--quiet", "--locked", "-p", "sootprint-card", "--example", "write_cards", "--", cards]
    subprocess.run(cargo, check=True, cwd=ROOT)
    check(cards)


def check(folder):
    import huggingface_hub

    assert huggingface_hub.__version__ == VERSION, huggingface_hub.__version__
    written = json.loads((folder / "written.json").read_text())
    failures, keys = [], 0
    for card in written:
        try:
            keys += check_card(folder, card)
        except Exception as error:
            failures.append(f"{card['name']}: {type(error).__name__}: {error}")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"huggingface_hub {VERSION} read {len(written)} cards and {keys} keys of others")
    print(f"{len(written) - len(failures)} passed, {len(failures)} failed")
    if failures or len(written) < 60 or keys < 100:
        sys.exit("the client disagrees, or there was too little to read")


def check_card(folder, card):
    """The number of keys that were compared."""
    from huggingface_hub import ModelCard

    path = folder / f"{card['name']}.md"
    after = ModelCard.load(path)
    data = after.data.to_dict()
    check_emissions(path, data, card["grams"])
    assert data["dia_report"]["scope"] == "incremental"
    for key in ["base_model", "base_model_relation"]:
        assert key not in card or data[key] == card[key], f"{key} is {data[key]}"
    if not card["has_before"]:
        return 0
    before = ModelCard.load(folder / f"{card['name']}.before.md")
    others = {key: value for key, value in data.items() if key not in OURS}
    expected = {key: value for key, value in before.data.to_dict().items() if key not in OURS}
    if card["name"] in MISREAD_BEFORE:
        assert (expected, others) == (MISREAD_BEFORE[card["name"]], {}), f"{expected}, {others}"
        return 0
    # As text, in which a number that is none equals itself; the order of the keys counts.
    assert repr(others) == repr(expected), f"{others} is not {expected}"
    assert without_ours(after.text) == without_ours(before.text), "the body is another"
    return len(others)


def check_emissions(path, data, grams):
    """The value in the file, the value that YAML gives and the one that the client's filter finds are one."""
    from huggingface_hub import ModelInfo
    from huggingface_hub.utils.endpoint_helpers import _is_emission_within_threshold

    text = re.search(r"^ +\"?emissions\"?: (\S+)\s*$", path.read_text(encoding="utf-8"), re.MULTILINE).group(1)
    assert re.fullmatch(r"\d+(\.\d{1,4})?", text), f"{text} is no plain decimal"
    value = float(text)
    assert value == max(round(grams, 4), 0.0001) or abs(value - grams) <= 1e-15 * grams, f"{text} for {grams}"
    assert data["co2_eq_emissions"]["emissions"] == value
    info = ModelInfo(id="me/digits", cardData=data)
    assert _is_emission_within_threshold(info, value, value), f"the filter does not find {text}"
    assert not _is_emission_within_threshold(info, value * 1.001, None), f"the filter finds more than {text}"
    assert not _is_emission_within_threshold(info, None, value * 0.999), f"the filter finds less than {text}"


def without_ours(text):
    """The body without the region and the values that were filled in, and without line breaks at its ends."""
    text = re.sub(r" <!-- sootprint:([^>]*)-->.*?<!-- /sootprint -->", r"\1", text)
    begin, end = "<!-- sootprint:begin -->", "<!-- sootprint:end -->"
    text = re.sub(f"{begin}(?:(?!{begin}).)*{end}", "", text, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


if __name__ == "__main__":
    main()
