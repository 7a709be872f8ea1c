#!/usr/bin/env python3
"""Draws Burn's dashboard, as a terminal shows it while the first example trains, as an SVG.

    cargo build -p burn-digits --features tui
    docs/dashboard/picture.py target/debug/burn-digits docs/dashboard/dashboard.svg

It needs tmux. The program runs in a terminal of its own and a folder that is thrown away; its last frame before it
leaves the dashboard is drawn. Lines, blocks and dots are drawn as shapes, so that the picture depends on no font for
them.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path

COLUMNS, ROWS = 118, 38
WIDTH, HEIGHT = 8, 17  # Of a character, in pixels.
PAPER, INK = "#1b1d23", "#d5d8de"
# The sixteen colours of a terminal.
COLOURS = (
    "#1b1d23 #e06c75 #98c379 #e5c07b #61afef #c678dd #56b6c2 #abb2bf "
    "#6b7180 #ff7a85 #b1e08f #ffd68a #7cc0ff #de8ff5 #6fd3e0 #ffffff"
).split()
PLAIN = (None, None, False, False)  # Ink, paper, bold, reversed.
# Which of a character's sides a line goes to: left, right, up, down.
LINES = {"─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu", "├": "rud", "┤": "lud", "┬": "lrd",
         "┴": "lru", "┼": "lrud", "╭": "rd", "╮": "ld", "╰": "ru", "╯": "lu"}
# The eight dots of a braille character, by their bits: column and row.
DOTS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]


def main():
    program, picture = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    picture.write_text(draw(cells(frame(program))), encoding="utf-8")


def frame(program):
    """The last frame of the dashboard that shows the energy's plot."""
    session, last = f"dashboard-{os.getpid()}", None
    with tempfile.TemporaryDirectory() as folder:
        tmux("new-session", "-d", "-s", session, "-x", str(COLUMNS), "-y", str(ROWS), "-c", folder,
             "-e", "SOOTPRINT_PLACE=FR", "-e", f"HF_HOME={folder}", f"{program}; sleep 60")
        try:
            # The third metric of five is ours.
            for _ in range(2):
                wait_for(session, "Metrics")
                tmux("send-keys", "-t", session, "Right")
            while "Metrics" in (now := capture(session)):
                last = now if "Energy" in now else last
                time.sleep(0.05)
        finally:
            tmux("kill-session", "-t", session)
    return last or sys.exit("the dashboard was not seen")


def wait_for(session, text):
    until = time.monotonic() + 60
    while text not in capture(session):
        time.monotonic() < until or sys.exit(f"no {text} in sight:\n{capture(session)}")
        time.sleep(0.02)


def capture(session):
    return tmux("capture-pane", "-e", "-p", "-N", "-t", session)


def tmux(*arguments):
    return subprocess.run(["tmux", "-u", *arguments], check=True, capture_output=True, encoding="utf-8").stdout


def cells(text):
    """Rows of characters with their styles."""
    rows, style = [], PLAIN
    for line in text.splitlines():
        row = []
        for codes, character in re.findall(r"\x1b\[([\d;]*)m|(.)", line):
            if character:
                row.append((character, style))
            else:
                style = styled(style, [int(code or 0) for code in codes.split(";")])
        rows.append(row)
    return rows


def styled(style, codes):
    ink, paper, bold, is_reversed = style
    while codes:
        code = codes.pop(0)
        if code == 0:
            ink, paper, bold, is_reversed = PLAIN
        elif code == 1:
            bold = True
        elif code == 22:
            bold = False
        elif code in (7, 27):
            is_reversed = code == 7
        elif code in (39, 49):
            ink, paper = (None, paper) if code == 39 else (ink, None)
        elif code in (38, 48):
            colour = extended(codes)
            ink, paper = (colour, paper) if code == 38 else (ink, colour)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            ink = COLOURS[code - 30 if code < 90 else code - 82]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            paper = COLOURS[code - 40 if code < 100 else code - 92]
    return ink, paper, bold, is_reversed


def extended(codes):
    if codes.pop(0) == 2:
        return "#%02x%02x%02x" % tuple(codes.pop(0) for _ in range(3))
    number = codes.pop(0)
    return COLOURS[number] if number < 16 else INK


def draw(rows):
    shapes, strokes = [], {}
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            character, style = row[x]
            end = x + 1
            if plain(character):
                while end < len(row) and plain(row[end][0]) and row[end][1] == style:
                    end += 1
            text = "".join(character for character, _ in row[x:end])
            shapes += run(text, style, x * WIDTH, y * HEIGHT, strokes)
            x = end
    width, height = COLUMNS * WIDTH, ROWS * HEIGHT
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -8 {width + 16} {height + 16}" '
        f'font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="13">',
        "<title>Burn's dashboard with energy, power and CO2e among its metrics</title>",
        f'<rect x="-8" y="-8" width="{width + 16}" height="{height + 16}" rx="6" fill="{PAPER}"/>',
        *shapes,
        *(f'<path d="{path}" stroke="{ink}" stroke-width="{thick}" stroke-linecap="{cap}" fill="none"/>'
          for (ink, thick, cap), path in strokes.items()),
        "</svg>",
        "",
    ])


def plain(character):
    return character not in LINES and not 0x2580 <= ord(character) <= 0x259F and not is_braille(character)


def is_braille(character):
    return 0x2800 <= ord(character) <= 0x28FF


def run(text, style, x, y, strokes):
    """The shapes of some characters of one style; their strokes are gathered by colour."""
    ink, paper, bold, is_reversed = style
    if is_reversed:
        ink, paper = paper or PAPER, ink or INK
    ink = ink or INK
    if paper and paper != PAPER:
        yield f'<rect x="{x}" y="{y}" width="{len(text) * WIDTH}" height="{HEIGHT}" fill="{paper}"/>'
    if text in LINES:
        stroke(strokes, (ink, 1, "square"), line(LINES[text], x, y))
    elif is_braille(text[0]):
        stroke(strokes, (ink, 3, "round"), dots(ord(text) - 0x2800, x, y))
    elif not plain(text[0]):
        yield block(ord(text), ink, x, y)
    elif text.strip():
        lead = len(text) - len(text.lstrip())
        text, x = text.strip(), x + lead * WIDTH
        weight = ' font-weight="bold"' if bold else ""
        yield (f'<text x="{x}" y="{y + 13}" textLength="{len(text) * WIDTH}" xml:space="preserve" '
               f'fill="{ink}"{weight}>{escape(text)}</text>')


def stroke(strokes, pen, path):
    strokes[pen] = strokes.get(pen, "") + path


def line(sides, x, y):
    middle = (x + WIDTH / 2, y + HEIGHT / 2)
    ends = {"l": (x, middle[1]), "r": (x + WIDTH, middle[1]), "u": (middle[0], y), "d": (middle[0], y + HEIGHT)}
    return "".join(f"M{middle[0]:g} {middle[1]:g}L{ends[side][0]:g} {ends[side][1]:g}" for side in sides)


def dots(bits, x, y):
    places = (DOTS[bit] for bit in range(8) if bits >> bit & 1)
    return "".join(f"M{x + 2 + 4 * column} {y + 2.1 + 4.25 * row:g}h0" for column, row in places)


def block(code, ink, x, y):
    """Eighths from below, eighths from the left, or all of it."""
    left, top, width, height = x, y, WIDTH, HEIGHT
    if 0x2581 <= code <= 0x2588:
        height = HEIGHT * (code - 0x2580) / 8
        top = y + HEIGHT - height
    elif 0x2589 <= code <= 0x258F:
        width = WIDTH * (0x2590 - code) / 8
    elif code == 0x2580:
        height = HEIGHT / 2
    return f'<rect x="{left}" y="{top:g}" width="{width:g}" height="{height:g}" fill="{ink}"/>'


if __name__ == "__main__":
    main()
