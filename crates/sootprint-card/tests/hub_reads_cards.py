#!/usr/bin/env python3
"""Reads each card that the crate writes with Hugging Face's own Python client.

Writes the cards (`cargo run --example write_cards`), creates a virtual environment with huggingface_hub next to them,
loads each card, compares the body and all keys that the crate does not write, and checks that the client's own filter
by emissions finds the written value. Fails if nothing was compared.

Usage: python3 crates/sootprint-card/tests/hub_reads_cards.py
"""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "python"))
from hub_client import ROOT, TARGET, VERSION, run_with_client  # noqa: E402

MANAGED = {"co2_eq_emissions", "dia_report", "dia_version"}
# The client parses the text below an empty front matter as YAML. Adding a key corrects that.
MISREAD_BEFORE = {"02-empty-front-matter-above-rule": {"text": "body"}}


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
    print(f"huggingface_hub {VERSION} read {len(written)} cards and {keys} keys of other authors")
    print(f"{len(written) - len(failures)} passed, {len(failures)} failed")
    failures += check_notations(folder)
    for failure in failures:
        print(failure, file=sys.stderr)
    if failures or len(written) < 60 or keys < 100:
        sys.exit("the client disagrees, or too few cards were compared")


def check_card(folder, card):
    """Compares a card and returns the number of compared keys."""
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
    others = {key: value for key, value in data.items() if key not in MANAGED}
    expected = {key: value for key, value in before.data.to_dict().items() if key not in MANAGED}
    if card["name"] in MISREAD_BEFORE:
        assert (expected, others) == (MISREAD_BEFORE[card["name"]], {}), f"{expected}, {others}"
        return 0
    # As text, in which NaN equals NaN. The order of the keys counts.
    assert repr(others) == repr(expected), f"{others} is not {expected}"
    assert without_generated(after.text) == without_generated(before.text), "the body differs"
    return len(others)


def check_emissions(path, data, grams):
    """Checks that the file, the YAML parser and the client's filter give the same value."""
    from huggingface_hub import ModelInfo
    from huggingface_hub.utils.endpoint_helpers import _is_emission_within_threshold

    text = re.search(r"^ +\"?emissions\"?: (\S+)\s*$", path.read_text(encoding="utf-8"), re.MULTILINE).group(1)
    assert re.fullmatch(r"\d+(\.\d{1,9})?", text), f"{text} is not a plain decimal"
    value = float(text)
    assert value == max(float(f"{grams:.2e}") if grams < 1000 else round(grams), 0.0001), f"{text} for {grams}"
    assert data["co2_eq_emissions"]["emissions"] == value
    info = ModelInfo(id="me/digits", cardData=data)
    assert _is_emission_within_threshold(info, value, value), f"the filter does not find {text}"
    assert not _is_emission_within_threshold(info, value * 1.001, None), f"the filter finds more than {text}"
    assert not _is_emission_within_threshold(info, None, value * 0.999), f"the filter finds less than {text}"


NOTATIONS = 400


def check_notations(folder):
    """Compares `sootprint card check` with the client's own filter for random notations of the emissions."""
    import yaml

    seed = random.SystemRandom().randrange(2**32)
    choose = random.Random(seed)
    command = TARGET / "debug" / "sootprint"
    if not command.exists():
        subprocess.run(["cargo", "build", "--quiet", "--locked", "-p", "sootprint-cli"], check=True, cwd=ROOT)
    failures, compared, path = [], 0, folder / "notation.md"
    for _ in range(NOTATIONS):
        front = random_notation(choose)
        path.write_text(f"---\n{front}\n---\n", encoding="utf-8")
        done = subprocess.run([command, "card", "check", path, "--json"], capture_output=True, text=True)
        try:
            expected = filtered_grams(yaml.safe_load(front))
        except (yaml.YAMLError, ValueError):
            if done.stdout:
                failures.append(f"seed {seed}: Python cannot read {front!r}, sootprint can")
            continue
        if not done.stdout:
            # Refused although Python reads it: a duplicate key, or something that other parsers read differently.
            continue
        compared += 1
        found = json.loads(done.stdout)["filtered"]
        if found != expected and not (found is not None and expected and abs(found - expected) < 1e-12 * expected):
            failures.append(f"seed {seed}: {front!r} is {expected} for the filter, {found} for sootprint")
    print(f"the client's filter agrees on {compared} of {NOTATIONS} random notations (seed {seed})")
    if compared < NOTATIONS // 2:
        failures.append(f"seed {seed}: too few notations were compared")
    return failures


def filtered_grams(data):
    """The number that the client's filter compares; None if it skips the model or fails."""
    emission = data.get("co2_eq_emissions")
    if isinstance(emission, dict):
        emission = emission.get("emissions")
    matched = re.search(r"\d+\.\d+|\d+", str(emission)) if emission else None
    return float(matched.group(0)) if matched else None


def random_notation(choose):
    """The emissions as an author might write them."""
    number = choose.choice([
        str(choose.randrange(10**choose.randrange(1, 9))),
        f"{choose.random() * 10 ** choose.randrange(-8, 8):.{choose.randrange(1, 9)}f}",
        f"{choose.random():.3e}", f"{choose.randrange(1, 99)}e{choose.randrange(-9, 400)}",
        f"0x{choose.randrange(255):x}", f"0{choose.randrange(99)}", f"{choose.randrange(99)}:{choose.randrange(99)}",
        f"{choose.randrange(1, 999)}_{choose.randrange(1000):03}", f"{choose.randrange(1, 999)},{choose.randrange(1000):03}",
        "".join(choose.choice("０１２٣٤५६") for _ in range(3)), ".5", "5.", "-3.5", "+2", "0", "0.0", "no", "~", "N/A", ".inf",
        f"20{choose.randrange(10, 99)}-{choose.randrange(10, 14)}-{choose.randrange(10, 31)}", "",
    ])
    unit = choose.choice(["", "", "", " g", "g", " kg", " µg", " gCO₂eq", " grammes", " tons of CO2", "\t", " # 7"])
    value = choose.choice(["{}", "{}", "{}", "'{}'", '"{}"', "about {}", "~ {}", "< {}", "[{}]", "[{}, 2]", "&a {}"])
    value = value.format(number + unit)
    return choose.choice([
        f"co2_eq_emissions: {value}",
        f"co2_eq_emissions:\n  emissions: {value}\n  source: x1",
        f"co2_eq_emissions: {{source: 9, emissions: {value}}}",
        f"co2_eq_emissions:\n- source: {choose.choice(['me', 'v2', '2026-01-02'])}\n- emissions: {value}",
        f"base: &b\n  emissions: {value}\nco2_eq_emissions:\n  <<: *b\n  source: x",
        f"base: &b {{emissions: {value}}}\nco2_eq_emissions:\n  <<: [{{source: 4}}, *b]",
        f"n: &n {value}\nco2_eq_emissions:\n  emissions: *n",
    ])


def without_generated(text):
    """Returns the body without the section and the filled-in values, and without surrounding line breaks."""
    text = re.sub(r" <!-- sootprint:([^>]*)-->.*?<!-- /sootprint -->", r"\1", text)
    begin, end = "<!-- sootprint:begin -->", "<!-- sootprint:end -->"
    text = re.sub(f"{begin}(?:(?!{begin}).)*{end}", "", text, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


if __name__ == "__main__":
    main()
