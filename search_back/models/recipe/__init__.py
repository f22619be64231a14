"""How the bundled model and the bundled pictures are made.

`python -m search_back.models.recipe all --work build/recipe` fetches the sources, draws the
sprites, learns the vocabulary, trains, exports, measures and packs the pictures. Each step is
skipped where its output is already in the work folder.
"""
