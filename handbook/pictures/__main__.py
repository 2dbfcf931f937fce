"""Draws every picture again: `python -m handbook.pictures`, which needs matplotlib."""

from handbook.pictures.draw import FOLDER, PICTURES, save

for name in PICTURES:
    save(name)
    print(FOLDER / f"{name}.svg")
