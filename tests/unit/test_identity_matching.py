"""Comparing applicants with register entries: what agrees, and which reasons are given."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.identity.matching import choose, differences, normalised, same_name


@dataclass(frozen=True)
class Somebody:
    """A person with the three compared attributes."""

    official_name: str = "Muster"
    first_name: str = "Lea"
    date_of_birth: str = "1990-05-17"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "MUELLER"),
        ("Mu\u0308ller", "Müller"),
        ("Weiß", "Weiss"),
        ("Šimić", "Simic"),
        ("Zoé", "zoe"),
        ("De Bernardi", "Debernardi"),
        ("De-Bernardi", "Bernardi"),
        ("von Arx", "Arx"),
        ("Le Roy", "Roy"),
        ("Dell'Acqua", "Dell’Acqua"),
        ("Muster-Beispiel", "Beispiel Muster"),
        ("Lea-Anna", "Lea Anna"),
        ("  Rüegg  ", "Rueegg"),
        ("Le", "LE"),
    ],
)
def test_spellings_of_one_name_agree(one: str, other: str) -> None:
    """Umlauts, accents, hyphens, particles, spaces and the order of double names make no difference."""
    assert same_name(one, other)
    assert same_name(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Müller", "Muller"), ("Meier", "Meyer"), ("Muster", "Muster Beispiel"), ("Lea", "Lena"), ("Le", "De"), ("", "")],
)
def test_other_names_do_not_agree(one: str, other: str) -> None:
    """Similar is not the same: a person looks at it."""
    assert not same_name(one, other)
    assert not same_name(other, one)


@pytest.mark.parametrize("empty", ["", " ", "-", "’", "..."])
def test_a_name_without_letters_never_agrees(empty: str) -> None:
    """Two names of which nothing is left after normalising are not the same person's."""
    assert not same_name(empty, "-")


@settings(deadline=None)
@given(st.text(max_size=30))
def test_normalising_is_stable(name: str) -> None:
    """A name with a letter agrees with itself, in any case, and normalising twice changes nothing."""
    words = normalised(name)
    assert normalised(" ".join(words)) == words
    assert same_name(name, name) == bool(words)


def test_each_attribute_gives_its_reason() -> None:
    """Every attribute that differs is named, and no other."""
    applicant = Somebody()
    assert differences(applicant, Somebody()) == ()
    assert differences(applicant, Somebody(official_name="Keller")) == ("official_name_differs",)
    assert differences(applicant, Somebody(first_name="Mia")) == ("first_name_differs",)
    assert differences(applicant, Somebody(date_of_birth="1990-05-18")) == ("date_of_birth_differs",)
    assert differences(applicant, Somebody(date_of_birth="1990")) == ("date_of_birth_differs",)
    assert len(differences(applicant, Somebody("Keller", "Mia", "2001-01-01"))) == 3


def test_choosing_among_entries() -> None:
    """One agreeing entry is chosen; none, several, or a single other one give reasons."""
    lea, twin, mia = Somebody(), Somebody(), Somebody(first_name="Mia")
    assert choose(lea, [mia, lea]) is lea
    assert choose(lea, []) == ("not_found",)
    assert choose(lea, [lea, twin]) == ("several_matches",)
    assert choose(lea, [mia]) == ("first_name_differs",)
    assert choose(lea, [mia, mia]) == ("several_matches",)
