"""The catalogue of how reasons are brought about leaves none out. Pure: nothing is started."""

from cluster.reasons.catalogue import CANNOT
from cluster.reasons.stage import CASES
from factotum.core.words.reasons import TABLE


def test_every_reason_is_brought_about_or_cannot_be():
    assert set(TABLE) <= CASES.keys() | CANNOT.keys()
    assert not CASES.keys() & CANNOT.keys()


def test_what_cannot_be_brought_about_is_little_and_says_why():
    assert len(CANNOT) <= 2
    assert set(CANNOT) <= set(TABLE)
    assert all(10 <= len(why) <= 100 for why in CANNOT.values())


def test_how_a_reason_is_brought_about_fits_a_cell_of_a_table():
    for case in CASES.values():
        assert 10 <= len(case.how) <= 100, case.reason
        assert "|" not in case.how, case.reason
