"""Effects of variants the slow and obvious way: by edits of a Python string.

A chromosome is a string of A, C, G, T and N, and an edit is a position (0-based), the letters
that go and those that come.
"""

import random


def applied(chromosome, edits):
    """Return the chromosome with edits, and where each of its bases is in it, by position."""
    result, places = "", {}
    at = 0
    for position, ref, alt in sorted(edits):
        assert chromosome[position : position + len(ref)] == ref
        for i in range(at, position):
            places[i] = len(result) + i - at
        result += chromosome[at:position]
        if len(ref) == len(alt):
            for i in range(len(ref)):
                places[position + i] = len(result) + i
        result += alt
        at = position + len(ref)
    for i in range(at, len(chromosome)):
        places[i] = len(result) + i - at
    return result + chromosome[at:], places


def window(chromosome, position, before, after):
    """Return the bases around one, with N off the ends."""
    padded = "N" * before + chromosome + "N" * after
    return padded[position : position + before + 1 + after]


def sites(chromosome):
    return {i for i in range(len(chromosome) - 1) if chromosome[i : i + 2] == "CG"}


def nearby(chromosome, edit, before, after, others=()):
    """Yield class, position (None where the C is inserted) and both windows of each site."""
    position, ref, alt = edit
    changed, places = applied(chromosome, [edit, *others])
    back = {to: of for of, to in places.items()}
    start = position + sum(len(b) - len(a) for p, a, b in others if (p, a, b) < edit)

    def near(at, begin, size):
        return at - before < begin + size and at + after >= begin

    old, new = sites(chromosome), sites(changed)
    for of in sorted(old):
        to = places.get(of)
        kept = to in new
        if near(of, position, len(ref)) or (kept and near(to, start, len(alt))):
            now = window(changed, to, before, after) if kept else None
            yield "kept" if kept else "lost", of, window(chromosome, of, before, after), now
    for to in sorted(new):
        if back.get(to) not in old and near(to, start, len(alt)):
            yield "gained", back.get(to), None, window(changed, to, before, after)


def leftmost(chromosome, position, ref, alt):
    """Return an insertion or deletion of as many bases, farthest to the left, one by one."""
    while position and not (ref and alt) and chromosome[position - 1] != "N":
        letters = chromosome[position - 1] + (ref or alt)
        if letters[0] != letters[-1]:
            break
        position -= 1
        ref, alt = (letters[:-1], alt) if ref else (ref, letters[:-1])
    return position, ref, alt


def minimal(chromosome, position, ref, alt):
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        position, ref, alt = position + 1, ref[1:], alt[1:]
    return leftmost(chromosome, position, ref, alt)


def random_chromosome(rng, length):
    """Return bases with many CpGs, repeats, and stretches of N."""
    pieces: list[str] = []
    while len("".join(pieces)) < length:
        kind = rng.random()
        if kind < 0.04:
            pieces.append("N" * rng.randint(1, 12))
        elif kind < 0.12:
            pieces.append(rng.choice(("CG", "A", "CGA", "GC", "T")) * rng.randint(2, 8))
        else:
            pieces.append("".join(rng.choices("ACGT", k=rng.randint(5, 60))))
    return "".join(pieces)[:length]


def random_variant(rng, chromosome):
    """Return a position, and both alleles as a file may have them: none is empty, or the other."""
    size = len(chromosome)
    while True:
        kind = rng.choice(("base", "bases", "insertion", "deletion", "other", "make", "break"))
        place = rng.choice((0, size - 1, *[rng.randrange(size)] * 6))
        count = {"base": 1, "insertion": 1}.get(kind) or rng.choice((1, 2, 3, 5, 30))
        if kind == "break":
            place, count = rng.choice(sorted(sites(chromosome))), rng.choice((1, 2))
        ref = chromosome[place : place + count]
        letters = "".join(rng.choices("ACGT", k=rng.choice((1, 2, 3, 8, 40))))
        match kind:
            case "base" | "bases" | "break":
                alt = "".join(rng.choices("ACGT", k=len(ref)))
            case "insertion":
                alt = rng.choice((ref + letters, letters + ref, ref + ref))
            case "deletion":
                alt = rng.choice((ref[0], ref[-1]))
            case "make":
                alt = rng.choice(("CG", "ACG", "CGCG"))
            case _:
                alt = letters
        if alt != ref and set(alt) <= set("ACGT"):
            return place, ref, alt


def rng(seed=0):
    return random.Random(seed)
