import pytest

from deepcpg_tf.exporters.paths import without_folders


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/home/me/data.h5ad", "data.h5ad"),
        ("/home/me/my data/t.h5ad", "t.h5ad"),
        ("/home/me/data/", "data"),
        ("~/genomes/mm10.fa", "mm10.fa"),
        ("~me/genomes/mm10.fa", "mm10.fa"),
        ("file:///home/me/x.fa", "x.fa"),
        ("data/t.h5ad", "data/t.h5ad"),
        ("deepcpg-tf train /a/t.h5ad --genome /b/g.fa", "deepcpg-tf train t.h5ad --genome g.fa"),
        ("train '/a b/t c.h5ad' --genome=/b/g.fa", "train 't c.h5ad' --genome=g.fa"),
        ("train '--genome=/b c/g h.fa' x", "train '--genome=g h.fa' x"),
        ("train x --genome='/b c/g h.fa'", "train x --genome='g h.fa'"),
        ("'data/t' and 'https://x.org/y/z'", "'data/t' and 'https://x.org/y/z'"),
        ('it\'s in /a/b/c.txt, (/d/e) and "/f/g"', 'it\'s in c.txt, (e) and "g"'),
        ("PATH=/a/b:/c/d", "PATH=b:d"),
        ("https://zenodo.org/record/1466079/files", "https://zenodo.org/record/1466079/files"),
        ("5 / 6 m/s", "5 / 6 m/s"),
        ("/", "/"),
        ("", ""),
        (["/a/b", {"/c/d": ("/e/f", 1, None)}], ["b", {"d": ["f", 1, None]}]),
        (1.5, 1.5),
    ],
)
def test_without_folders(value, expected):
    assert without_folders(value) == expected
