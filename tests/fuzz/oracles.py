"""Readers of text once more, each as simple as can be: what an accepted file must hold."""

import re
from collections import defaultdict

import numpy as np

from tests.fuzz.engine import NonsenseError

CODES = {**dict.fromkeys("NRYSWKMBDHV", 4), "A": 0, "T": 1, "U": 1, "G": 2, "C": 3}

PROFILES = {
    "deepcpg": (1, "chrom start value"),
    "bedgraph": (0, "chrom start end score"),
    "legacy-bedgraph": (1, "chrom start end score"),
    "bismark-cov": (1, "chrom start end percent methylated unmethylated"),
    "bismark-zero-cov": (0, "chrom start end percent methylated unmethylated"),
    "bismark-report": (1, "chrom start strand methylated unmethylated context _"),
    "allc": (1, "chrom start strand context methylated coverage _"),
    "bedmethyl 18": (
        0,
        "chrom start end code _ strand _ _ _ _ percent methylated unmethylated other _ _ _ _",
    ),
    "bedmethyl 11": (0, "chrom start end _ _ strand _ _ _ coverage percent"),
}
_MANY = 10**12


def expect(condition, what):
    if not condition:
        raise NonsenseError(what)


def known_name(name, known):
    """Return the known name of a chromosome, which may have ``chr`` in front or not."""
    bare = name.removeprefix("chr")
    names = [name, f"chr{name}", *([] if bare.startswith("chr") else [bare])]
    return next((name for name in names if name in known), None)


def text_lines(content):
    """Return the lines of text with any ending, without a byte order mark."""
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return re.split("\r\n|\r|\n", text)


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    is_usual = text.isascii() and "_" not in text and "inf" not in text.lower()
    return is_usual and float(text) == float(text)


def data_lines(content):
    """Return the lines of a profile that hold data, a header left out."""
    lines = [line for line in text_lines(content) if line.strip(" \t\n\v\f\r")]
    lines = [line for line in lines if not line.startswith(("#", "track", "browser"))]
    has_header = lines and not any(is_number(field) for field in lines[0].split())
    return lines[1:] if has_header else lines


def profile(content, format, chromosomes):  # noqa: A002
    """Return how many lines of data a profile has, and its labels by chromosome and position."""
    lines = data_lines(content)
    if format == "bedmethyl":
        is_long = len(lines[0].replace(" ", "\t").split("\t")) > 13
        format = f"bedmethyl {18 if is_long else 11}"  # noqa: A001
    base, columns = PROFILES[format]
    rows = []
    for line in lines:
        fields = line.split("\t")
        if len(fields) < len(columns.split()):
            fields = line.replace(" ", "\t").split("\t")
        expect(len(fields) >= len(columns.split()), f"accepted too few columns: {line!r}")
        row = dict(zip(columns.split(), fields, strict=False))
        for name in ("start", "end", "methylated", "unmethylated", "coverage", "other"):
            if name in row:
                expect(
                    re.fullmatch(r" *[+-]?\d+", row[name], re.ASCII),
                    f"accepted {name} {row[name]!r}",
                )
                row[name] = int(row[name])
                expect(0 <= row[name] <= _MANY, f"accepted {name} {row[name]}")
        expect(row["start"] >= base, f"accepted position {row['start']}")
        expect(row["chrom"], "accepted a chromosome without name")
        for name in ("value", "score", "percent"):
            if name in row:
                expect(is_number(row[name]), f"accepted {name} {row[name]!r}")
                row[name] = float(row[name])
                expect(0 <= row[name] <= (1 if name == "value" else 100), f"accepted {row[name]}")
        expect(row.get("strand", ".") in ("+", "-", "."), f"accepted strand {row.get('strand')!r}")
        _agree(row)
        if is_5mc(row.get("code", "m")) and row.get("context", "CG").startswith("CG"):
            rows.append(row)
    # A last line without an end is read by itself, when the scale is known.
    ended = len(data_lines(content[: content.rfind(b"\n") + 1]))
    scores = [row["score"] for row in rows if "score" in row]
    scores = scores[:ended] if any(scores[:ended]) else scores
    scale = 100 if sum(s > 1 for s in scores) > sum(0 < s <= 1 for s in scores) else 1
    return len(lines), _labels(rows, base, scale, chromosomes)


def vcf(content):
    """Return the first five columns of each record of VCF; only \\n ends a line."""
    text = content.decode("utf-8", "surrogateescape")
    lines = [line.rstrip("\r") for line in text.split("\n")]
    names = next(i for i, line in enumerate(lines) if line.startswith("#CHROM"))
    expect(lines[0].startswith("##fileformat=VCFv4"), f"accepted {lines[0]!r}")
    rows = []
    for line in lines[names + 1 :]:
        fields = line.split("\t")
        if line:
            expect(len(fields) == len(lines[names].split("\t")), f"accepted {line!r}")
            expect(re.fullmatch("[0-9]+", fields[1], re.ASCII), f"accepted POS {fields[1]!r}")
            alts = tuple(fields[4].split(","))
            rows.append((fields[0], int(fields[1]), fields[2], fields[3], alts))
    return rows


def is_5mc(code):
    """Tell a code of bedMethyl, which may have a motif and a place in it behind."""
    code, *motif = code.split(",")
    is_motif = not motif or (len(motif) == 2 and motif[1].isdecimal())
    return is_motif and (code == "C" or code.lower() in ("m", "5mc", "27551"))


def _agree(row):
    """Hold the percent of a line against its counts, if it has both and any reads."""
    if "percent" not in row:
        return
    counts = [row[name] for name in ("methylated", "unmethylated", "other") if name in row]
    off = 1.001 if row["percent"] == int(row["percent"]) else 0.1001
    if counts and sum(counts):
        share = 100 * counts[0] / sum(counts)
        expect(abs(row["percent"] - share) <= off, f"accepted {row['percent']} for {share}")
    elif row.get("coverage") and row["percent"]:
        least = 100 / row["coverage"]
        expect(row["percent"] >= least - off, f"accepted {row['percent']}, less than a read")


def _labels(rows, base, scale, chromosomes):
    reads = defaultdict(lambda: [0, 0])
    states = {}
    for row in rows:
        name = known_name(row["chrom"], chromosomes)
        position = row["start"] - base
        methylated, unmethylated = _reads(row, scale)
        strand = row.get("strand", ".")
        site, state = (row["chrom"], position, strand), np.sign(methylated - unmethylated)
        if site in states:
            expect(states[site] == state, f"accepted {site} with two states")
            continue
        states[site] = state
        letters = chromosomes.get(name, "")
        if strand != "-" and letters[position : position + 2] == "CG":
            pass
        elif strand != "+" and position and letters[position - 1 : position + 1] == "CG":
            position -= 1
        else:
            continue
        reads[name, position][0] += methylated
        reads[name, position][1] += unmethylated
    return {site: int(m > u) for site, (m, u) in reads.items() if m != u}


def _reads(row, scale):
    if "unmethylated" in row:
        return row["methylated"] + row.get("other", 0), row["unmethylated"]
    coverage = row.get("coverage", _MANY)
    if "methylated" in row:
        expect(row["methylated"] <= coverage, "accepted more methylated reads than reads")
        return row["methylated"], coverage - row["methylated"]
    share = (
        row["value"]
        if "value" in row
        else row.get("score", row.get("percent")) / (scale if "score" in row else 100)
    )
    expect(share <= 1, f"accepted a share of {share}")
    methylated = round(share * coverage)
    return methylated, coverage - methylated


def codes(letters):
    expect(set(letters.upper()) <= CODES.keys(), f"accepted other letters: {letters[:60]!r}")
    return [CODES[letter] for letter in letters.upper()]


def fasta(content):
    """Return the records of FASTA as the line of their name and letters."""
    records = []
    for line in text_lines(content):
        if line.startswith(">"):
            records.append([line[1:], ""])
        elif line.strip():
            expect(records, f"accepted letters before the first record: {line[:40]!r}")
            records[-1][1] += "".join(line.split())
    return records


def fasta_genome(content):
    records = [(re.split(r"\s", line, flags=re.A)[0], codes(rest)) for line, rest in fasta(content)]
    names = [name for name, _ in records]
    expect(len(set(names)) == len(names), f"accepted a record twice: {names}")
    expect(all(letters for _, letters in records), f"accepted a record without letters: {names}")
    return dict(records)


def windows(content, length):
    lines = [line.strip() for line in text_lines(content)]
    while lines and not lines[-1]:
        lines.pop()
    expect(all(len(line) == length for line in lines), "accepted a window of another length")
    return [codes(line) for line in lines]


def motifs(content):
    """Return the names of motifs in MEME's format, and all lines of four frequencies."""
    lines = [line.split() for line in text_lines(content)]
    names = [words[1] for words in lines if words[:1] == ["MOTIF"]]
    rows = []
    for words in lines:
        try:
            row = [float(word) for word in words]
        except ValueError:
            continue
        if len(row) == 4:
            rows.append(row)
    return names, rows


def sites(content, chromosomes):
    """Return chromosome, position and strand of each site of a text file."""
    kind, found = "", []
    for line in text_lines(content):
        fields = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        if not kind:
            if fields[:3] == ["chromosome", "position", "strand"]:
                kind = "predictions"
                continue
            if fields[0].lower() in ("chrom", "chr", "chromo", "chromosome", "seqname"):
                continue
            numbers = len(fields) > 2 and all(re.fullmatch(r"\d+", f, re.A) for f in fields[1:3])
            kind = "bed" if numbers and int(fields[2]) > int(fields[1]) else "tsv"
        strand = fields[{"bed": 5}.get(kind, 2)] if len(fields) > {"bed": 5}.get(kind, 2) else "+"
        strand = strand if strand in ("+", "-") else "+"
        expect(re.fullmatch(r"\s*\d+\s*", fields[1], re.ASCII), f"accepted position {fields[1]!r}")
        position = int(fields[1])
        if kind == "bed":
            width = int(fields[2]) - position
            expect(width in (1, 2), f"accepted an interval of {width}")
            position -= strand == "-" and width == 1
        elif kind == "tsv":
            position -= 1 + (strand == "-")
        name = fields[0]
        known = known_name(name, chromosomes)
        expect(known, f"accepted chromosome {name!r}")
        expect(0 <= position < len(chromosomes[known]), f"accepted position {position}")
        found.append((name, position, strand))
    return found


def intervals(content, chromosomes, size):
    """Return which of the first bases of each chromosome are in an interval."""
    masks = {name: np.zeros(size, bool) for name in chromosomes}
    lines = text_lines(content)
    lines = [
        line for line in lines if line.strip() and not re.match(r"\s*#|(track|browser)\b", line)
    ]
    if lines and re.match("(chrom|chr|chromosome|seqname)[ \t]", f"{lines[0]} ", re.I):
        lines = lines[1:]
    for line in lines:
        fields = re.split(r"[ \t]+", line)
        expect(len(fields) > 2, f"accepted {line[:60]!r}")
        for field in fields[1:3]:
            expect(re.fullmatch(r"\d+", field, re.ASCII), f"accepted {field!r}")
        start, end = int(fields[1]), int(fields[2])
        expect(start <= end, f"accepted {start} to {end}")
        name = fields[0]
        known = known_name(name, chromosomes)
        if known:
            masks[known][start:end] = True
    return masks
