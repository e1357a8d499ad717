"""The parts of a drawn face, and how each action unit moves them.

What an AU does follows its description in the Facial Action Coding System: AU 1 raises the inner brow, AU 12 pulls the
lip corners up and out, and so on. Sides are -1 (left in the picture) and 1.
"""

from __future__ import annotations

import numpy as np

from bench.mini.expressions import AUS
from bench.mini.pen import Colour, Pen, Points, curve, ellipse, mix
from bench.mini.people import HAIRS, SKINS, Face, Identity

BLACK: Colour = (20, 14, 14)
WHITE: Colour = (240, 238, 234)
TEETH: Colour = (232, 228, 214)
MOUTH: Colour = (64, 20, 24)
CLOTHES: tuple[Colour, ...] = ((52, 60, 84), (120, 44, 48), (70, 90, 70), (150, 150, 154))


def draw_head(pen: Pen, face: Face) -> None:
    """Draw the whole head, back to front."""
    who = face.identity
    skin = mix(SKINS[who.skin], BLACK if who.shade < 1 else WHITE, abs(1.0 - who.shade))
    au = dict(zip(AUS, face.aus, strict=True))
    _back(pen, who, skin, au)
    _wrinkles(pen, who, skin, au)
    for side in (-1, 1):
        _eye(pen, who, skin, au, side, face.scene.gaze)
    for side in (-1, 1):
        _brow(pen, who, au, side)
    _nose(pen, who, skin, au)
    _beard(pen, who, skin, au)
    _mouth(pen, who, skin, au)
    _hair_front(pen, who)
    if who.glasses:
        _glasses(pen, who)


def _outline(who: Identity, drop: float) -> Points:
    """The face from temple over chin to temple; `drop` is how far the jaw has fallen."""
    w, j, chin = who.width, who.jaw, 1.0 + drop
    right = curve((w, -0.35), (w * 1.04, 0.45), (j, chin), (0.0, chin), steps=14)
    top = curve((-w, -0.35), (-w, -1.25), (w, -1.25), (w, -0.35), steps=14)
    return np.concatenate([right, right[::-1] * (-1, 1), top])


def _back(pen: Pen, who: Identity, skin: Colour, au: dict[int, float]) -> None:
    hair, shadow = HAIRS[who.hair], mix(skin, BLACK, 0.25)
    clothes = CLOTHES[int(who.width * 1000) % len(CLOTHES)]
    pen.area(ellipse(0.0, 1.9, 1.25, 0.72), clothes, 0.0)
    pen.area(curve((-0.36, 0.6), (-0.36, 1.5), (0.36, 1.5), (0.36, 0.6)), shadow, 0.0)
    if who.hairstyle == "long":
        pen.area(ellipse(0.0, 0.05, who.width * 1.28, 1.22), hair, -0.3)
    elif who.hairstyle != "bald":
        pen.area(ellipse(0.0, -0.38, who.width * 1.13, 0.80), hair, -0.3)
    if who.hairstyle != "long":
        for side in (-1, 1):
            pen.area(ellipse(side * who.width * 0.99, 0.02, 0.10, 0.20), mix(skin, BLACK, 0.12), -0.1)
    edge = _outline(who, 0.13 * au[26])
    pen.area(edge, mix(skin, BLACK, 0.14), 0.15)
    pen.area(edge * (0.93, 0.96), skin, 0.2)


def _wrinkles(pen: Pen, who: Identity, skin: Colour, au: dict[int, float]) -> None:
    def crease(strength: float) -> Colour:
        return mix(skin, BLACK, min(0.55, 0.12 * who.age + 0.5 * strength))

    def visible(strength: float) -> bool:
        return strength > 0.12

    if visible(au[1]):
        for y in (-0.62, -0.71):
            pen.line(curve((-0.2, y), (0.0, y - 0.06), (0.2, y), steps=6), crease(0.8 * au[1]), 0.025)
    if visible(au[2]):
        for side in (-1, 1):
            for y in (-0.60, -0.68):
                arc = curve((side * 0.26, y - 0.04), (side * 0.4, y - 0.06), (side * 0.54, y + 0.05), steps=6)
                pen.line(arc, crease(0.7 * au[2]), 0.025)
    if visible(au[4]):
        for side in (-1, 1):
            pen.line(np.array([(side * 0.055, -0.47), (side * 0.045, -0.24)]), crease(au[4]), 0.03)
    if visible(au[6]):
        for side in (-1, 1):
            x = side * (who.eye_distance + 0.2)
            for dy in (-0.06, 0.0, 0.06):
                pen.line(np.array([(x, -0.1 + dy * 0.4), (x + side * 0.1, -0.1 + dy * 1.4)]), crease(au[6]), 0.02)
            bulge = ellipse(side * (who.eye_distance + 0.06), 0.2, 0.2, 0.13)
            pen.area(bulge, mix(skin, (236, 120, 100), 0.18 * au[6]), 0.5)
            pouch = curve((side * 0.18, 0.03), (side * 0.34, 0.13), (side * 0.52, 0.02), steps=7)
            pen.line(pouch, crease(0.8 * au[6]), 0.025)
    fold = max(au[10], 0.85 * au[12], 0.8 * au[9])
    if visible(fold):
        for side in (-1, 1):
            wide = 0.30 + 0.10 * au[12]
            line = curve((side * 0.16, 0.22), (side * (wide + 0.04), 0.30), (side * wide, 0.58), steps=8)
            pen.line(line, crease(fold), 0.03)
    if visible(au[17]):
        arc = curve((-0.16, 0.86), (0.0, 0.76), (0.16, 0.86), steps=7)
        pen.line(arc, crease(au[17]), 0.035)
        for x in (-0.07, 0.0, 0.07):
            pen.area(ellipse(x, 0.88, 0.02, 0.02, 6), crease(0.7 * au[17]))


def _eye(pen: Pen, who: Identity, skin: Colour, au: dict[int, float], side: int, gaze: tuple[float, float]) -> None:
    x, y, half = side * who.eye_distance, -0.1, 0.165 * who.eye_size
    upper = 0.1 * who.eye_size * (1.0 + 0.75 * au[5] - 0.5 * au[7] - 0.25 * au[6] - 0.3 * au[9])
    lower = 0.055 * who.eye_size * (1.0 + 0.25 * au[5] - 0.9 * au[7] - 1.2 * au[6] - 0.6 * au[9])
    inner, outer = x - side * half, x + side * half
    lid = curve((inner, y + 0.02), (x - side * 0.06, y - 1.5 * upper), (x + side * 0.08, y - 1.5 * upper), (outer, y))
    floor = curve((inner, y + 0.02), (x, y + 2.0 * lower), (outer, y), steps=8)
    pen.area(np.concatenate([lid, floor[::-1]]), WHITE, 0.6)
    iris_x, iris_y = x + 0.05 * np.clip(gaze[0], -1, 1), y - 0.02 + 0.03 * np.clip(gaze[1], -1, 1)
    pen.area(ellipse(iris_x, iris_y, 0.072, 0.075, 14), mix(HAIRS["brown"], (70, 96, 120), who.age), 0.6)
    pen.area(ellipse(iris_x, iris_y, 0.036, 0.038, 8), BLACK, 0.6)
    brow_line = np.array([(outer, y - 0.22), (inner, y - 0.22)])
    pen.area(np.concatenate([lid, brow_line]), skin, 0.6)
    cheek = np.array([(outer, y + 0.17), (inner, y + 0.17)])
    pen.area(np.concatenate([floor, cheek]), skin, 0.6)
    pen.line(lid, BLACK, 0.035, 0.6)
    pen.line(floor, mix(skin, BLACK, 0.35 + 0.3 * au[7]), 0.018 + 0.012 * au[7], 0.6)


def _brow(pen: Pen, who: Identity, au: dict[int, float], side: int) -> None:
    y = -0.37 - who.brow_height
    frown = au[4] * (1.0 - 0.75 * au[1])
    inner = (0.135 - 0.06 * au[4], y + 0.01 - 0.16 * au[1] + 0.13 * frown + 0.06 * au[9] + who.brow_slant)
    middle = (who.eye_distance, y - 0.07 - 0.05 * au[1] - 0.15 * au[2] + 0.09 * au[4] * (1.0 - 0.5 * au[1]))
    outer = (who.eye_distance + 0.2, y + 0.03 - 0.13 * au[2] + 0.02 * au[4] - who.brow_slant)
    top = curve((side * inner[0], inner[1]), (side * middle[0], middle[1] - 0.03), (side * outer[0], outer[1]))
    thick = 0.075 * who.brow_weight
    below = curve(
        (side * inner[0], inner[1] + thick), (side * middle[0], middle[1] + 0.8 * thick), (side * outer[0], outer[1])
    )
    colour = mix(HAIRS[who.hair], BLACK, 0.45)
    pen.area(np.concatenate([top, below[::-1]]), colour, 0.6)


def _nose(pen: Pen, who: Identity, skin: Colour, au: dict[int, float]) -> None:
    lift, wing = 0.06 * au[9] + 0.025 * au[10], 0.125 * who.nose * (1.0 + 0.25 * au[9] + 0.1 * au[10])
    shade, y = mix(skin, BLACK, 0.28), 0.3 - lift
    pen.line(curve((-0.05, -0.08), (-0.08, 0.15), (-wing, y), steps=7), mix(skin, BLACK, 0.16), 0.025, 0.9)
    for side in (-1, 1):
        pen.line(
            curve(
                (side * wing * 0.9, y - 0.07), (side * wing * 1.25, y + 0.01), (side * wing * 0.7, y + 0.05), steps=6
            ),
            shade,
            0.03,
            0.9,
        )
        pen.area(ellipse(side * wing * 0.45, y + 0.035, 0.04, 0.022, 8), mix(skin, BLACK, 0.6), 0.9)
    if au[9] > 0.12:
        for k in range(3):
            line = curve((-0.09, -0.16 + 0.08 * k), (0.0, -0.2 + 0.08 * k), (0.09, -0.16 + 0.08 * k), steps=5)
            pen.line(line, mix(skin, BLACK, 0.5 * au[9]), 0.028, 0.8)


def _mouth(pen: Pen, who: Identity, skin: Colour, au: dict[int, float]) -> None:
    y, half = who.mouth_height, who.mouth_width
    gap = 0.07 * au[25] + 0.26 * au[26]
    lips = who.lips * (1.0 - 0.65 * au[23]) * (1.0 - 0.3 * au[20])
    reach = half * (1.0 + 0.35 * au[12] + 0.4 * au[20] - 0.22 * au[23] - 0.22 * au[26] * (1.0 - au[12]))
    rise = 0.17 * au[12] - 0.16 * au[15] - 0.02 * au[20] + who.mouth_rest - 0.04 * au[17]
    push = 0.09 * au[17]
    corners = {}
    for side in (-1, 1):
        pull = au[14] if side == who.side else 0.0
        corners[side] = (side * reach * (1.0 + 0.25 * pull), y + 0.3 * gap - rise - 0.11 * pull)
    left, right = corners[-1], corners[1]
    top = y - 0.10 * au[10] - push - 0.02 * au[12]
    bottom = y + gap - push
    middle = (left[0] + right[0]) / 2
    inner_top = curve(left, (left[0] * 0.5, 2 * top - y), (right[0] * 0.5, 2 * top - y), right, steps=12)
    inner_bottom = curve(
        left, (left[0] * 0.5, y + 1.33 * (bottom - y)), (right[0] * 0.5, y + 1.33 * (bottom - y)), right
    )
    upper = curve(left, (-0.5 * half, top - 0.11 * lips), (middle, top - 0.06 * lips), steps=7)
    upper = np.concatenate([upper, curve((middle, top - 0.06 * lips), (0.5 * half, top - 0.11 * lips), right, steps=7)])
    under = y + 1.33 * (bottom - y) + 0.15 * lips
    lower = curve(right, (right[0] * 0.55, under), (left[0] * 0.55, under), left, steps=12)
    colour = mix(mix(skin, (176, 62, 66), 0.55), BLACK, 0.08)
    pen.area(np.concatenate([upper, lower]), colour, 0.7)
    if gap > 0.012 or au[10] > 0.3:
        pen.area(np.concatenate([inner_top, inner_bottom[::-1]]), MOUTH, 0.7)
        if gap > 0.02:
            edge = inner_top + np.array([0.0, min(0.075, 0.7 * gap + 0.02)])
            edge[:, 1] = np.minimum(edge[:, 1], inner_bottom[:, 1])
            pen.area(np.concatenate([inner_top, edge[::-1]]), TEETH, 0.7)
    else:
        pen.line((inner_top + inner_bottom) / 2, mix(MOUTH, BLACK, 0.2), 0.03, 0.7)
    _corners(pen, who, skin, au, corners)


def _corners(
    pen: Pen, who: Identity, skin: Colour, au: dict[int, float], corners: dict[int, tuple[float, float]]
) -> None:
    for side, (x, y) in corners.items():
        dimple = max(au[14] if side == who.side else 0.0, 0.5 * au[12])
        if dimple > 0.12:
            bracket = curve((x + side * 0.05, y - 0.1), (x + side * 0.11, y), (x + side * 0.05, y + 0.1), steps=6)
            pen.line(bracket, mix(skin, BLACK, 0.55 * dimple), 0.03, 0.6)
        if au[15] > 0.12:
            droop = np.array([(x, y), (x + side * 0.06, y + 0.13)])
            pen.line(droop, mix(skin, BLACK, 0.5 * au[15]), 0.03, 0.6)
        if au[20] > 0.12:
            stretch = curve((x + side * 0.04, y - 0.06), (x + side * 0.07, y), (x + side * 0.04, y + 0.06), steps=5)
            pen.line(stretch, mix(skin, BLACK, 0.4 * au[20]), 0.022, 0.6)


def _beard(pen: Pen, who: Identity, skin: Colour, au: dict[int, float]) -> None:
    if who.beard == "none":
        return
    colour = mix(HAIRS[who.hair], skin, 0.7 if who.beard == "stubble" else 0.25)
    if who.beard in ("stubble", "full"):
        outer = _outline(who, 0.13 * au[26])[:28] * (0.93, 0.97)
        jaw = outer[outer[:, 1] > 0.38]
        inside = curve((-0.42, 0.5), (-0.34, 0.36), (0.34, 0.36), (0.42, 0.5), steps=10)
        pen.area(np.concatenate([jaw, inside]), colour, 0.3)
    lip = curve((-0.26, 0.52), (0.0, 0.36), (0.26, 0.52), steps=8)
    pen.area(np.concatenate([lip, curve((0.26, 0.52), (0.0, 0.5), (-0.26, 0.52), steps=6)]), colour, 0.7)


def _hair_front(pen: Pen, who: Identity) -> None:
    hair, w = HAIRS[who.hair], who.width
    if who.hairstyle == "bald":
        return
    line = -0.62 if who.hairstyle == "fringe" else -0.80
    cap = curve((-w * 1.04, -0.22), (-w * 1.1, -1.42), (w * 1.1, -1.42), (w * 1.04, -0.22), steps=14)
    edge = curve((w * 0.92, -0.36), (w * 0.8, line - 0.14), (-w * 0.5, line + 0.04), (-w * 0.92, -0.36), steps=14)
    pen.area(np.concatenate([cap, edge]), hair, 0.1)


def _glasses(pen: Pen, who: Identity) -> None:
    frame, r = mix(BLACK, HAIRS[who.hair], 0.3), 0.2
    for side in (-1, 1):
        ring = ellipse(side * who.eye_distance, -0.08, r, 0.17, 18)
        pen.line(np.concatenate([ring, ring[:2]]), frame, 0.028, 0.7)
        arm = np.array([(side * (who.eye_distance + r), -0.1), (side * who.width * 0.98, -0.12)])
        pen.line(arm, frame, 0.026, 0.4)
    pen.line(curve((-0.14, -0.09), (0.0, -0.13), (0.14, -0.09), steps=5), frame, 0.028, 0.7)
