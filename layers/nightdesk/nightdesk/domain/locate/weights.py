"""How much each sign of a file counts when files are ranked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """Against the whole-file BM25 and its words (1.0); chosen on bench/locate.

    `path` and `name`: a word in a folder's or the file's name; `window`: the densest lines;
    `definition`: the best name of a definition; `identifier`: an identifier spelled as in the
    text; `place`: a path, stack frame or dotted name in the text.
    """

    path: float = 0.6
    name: float = 1.2
    window: float = 1.0
    definition: float = 0.3
    identifier: float = 1.0
    place: float = 1.5
