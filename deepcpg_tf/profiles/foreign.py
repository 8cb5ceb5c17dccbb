"""Text of other programs that is no profile as it stands: what it is, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from deepcpg_tf.profiles.formats import number_in


def _awk(program: str) -> str:
    return f"awk -v OFS='\\t' '{program}' FILE > NEW.cov"


_METHYLKIT = _awk("$5+0>0{m=int($5*$6/100+.5); print $2,$3,$3,$6,m,$5-m}")
_BSMAP = _awk("$8+0>0{print $1,$2,$2,100*$7/$8,$7,$8-$7}")
_DSS = _awk("$3+0>0{print $1,$2,$2,100*$4/$3,$4,$3-$4}")
_CGMAP = _awk('$4=="CG" && $8>0{print $1,$3,$3,100*$7/$8,$7,$8-$7}')
_BISCUIT = _awk("$5>0{m=int($4*$5+.5); print $1,$2,$3,100*m/$5,m,$5-m}")
_PACBIO = _awk("$7+$8>0{print $1,$2,$3,100*$7/($7+$8),$7,$8}")
_ZERO_BASED = "and read that with the format bismark-zero-cov"

# Words that lines before the first site begin with.
_STARTS = {
    "chrBase": f"methylKit's table: make it Bismark coverage, {_METHYLKIT}",
    "##fileformat=VCF": "variants (VCF): of BISCUIT's, biscuit vcf2bed makes sites",
    "##gff-version": "an annotation (GFF)",
    "Bismark methylation extractor": "calls of single reads: bismark2bedGraph makes coverage",
    "fixedStep": "a wiggle track: make it bedGraph",
    "variableStep": "a wiggle track: make it bedGraph",
    "@HD\t": "aligned reads (SAM)",
    "@SQ\t": "aligned reads (SAM)",
    ">": "FASTA",
    "{": "JSON",
    "[": "JSON",
}


def kind_by_header(line: str) -> str | None:
    """Return what a file is by a line before its first site, or by that one."""
    text = line.strip()
    for start, kind in _STARTS.items():
        if text.startswith(start):
            return kind
    if text.startswith("track"):
        # The words of MethylDackel.
        if "methylation counts" in text:
            return (
                "the coverage of sites, without their methylation, as MethylDackel "
                "--counts writes: run it without --counts"
            )
        if "logit transformed" in text:
            return "logits, as MethylDackel --logit writes: run it without --logit"
    names = text.lower().split()
    if "eff_ct_count" in names:
        return f"BSMAP's ratios: make them Bismark coverage, {_BSMAP}"
    if names == ["chr", "pos", "n", "x"]:
        return f"DSS's table: make it Bismark coverage, {_DSS}"
    return None


def kind_by_columns(fields: Sequence[str]) -> str | None:
    """Return what a file is by the columns of its first site, which fits no format."""
    count = len(fields)
    if count == 1:
        for separator, name in ((",", "commas"), (";", "semicolons")):
            if fields[0].count(separator) > 1:
                return f"columns separated by {name}: separate them by tabs"
        return None
    if count == 5 and fields[4] in tuple("zZxXhHuU") and fields[1] in ("+", "-"):
        return "calls of single reads, of Bismark's: bismark2bedGraph makes coverage"
    if count == 7 and fields[3] in ("F", "R") and fields[0].startswith(fields[1]):
        return f"methylKit's table: make it Bismark coverage, {_METHYLKIT}"
    if count == 8 and fields[1] in ("C", "G") and fields[2].isdecimal():
        return f"a CGmap: make it Bismark coverage, {_CGMAP}"
    if count == 12 and fields[1].isdecimal() and fields[2] in ("+", "-"):
        return f"BSMAP's ratios: make them Bismark coverage, {_BSMAP}"
    is_interval = count > 4 and fields[1].isdecimal() and fields[2].isdecimal()
    if not is_interval:
        return None
    if count == 9 and fields[6].isdecimal() and fields[7].isdecimal():
        return f"a table of pb-CpG-tools: make it coverage, {_PACBIO}, {_ZERO_BASED}"
    is_fraction = fields[3] == "." or 0 <= number_in(fields[3]) <= 1
    is_biscuit = count == 5 or (count == 6 and not fields[5].isdecimal())
    if is_biscuit and is_fraction and fields[4].isdecimal():
        return (
            f"fraction and coverage, as BISCUIT writes: make it coverage, {_BISCUIT}, {_ZERO_BASED}"
        )
    if count == 14 and number_in(fields[10]) >= 0:
        return "a bedMethyl of gemBS: keep its first 11 columns, cut -f1-11 FILE > NEW.bed"
    if count in (15, 16):
        return "a bedMethyl of modbam2bed --extended: write it without, in 11 columns"
    return None
