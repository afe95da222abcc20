"""The 27 digits of a QR reference: layout, check digit, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.qr_reference import QrReference, format_qr_reference, parse_qr_reference, qr_reference

_CARRY = (0, 9, 4, 6, 8, 2, 7, 1, 3, 5)


def _check_digit(digits: str) -> str:
    """Modulo 10 recursive, written independently of the library."""
    carry = 0
    for digit in digits:
        carry = _CARRY[(carry + int(digit)) % 10]
    return str((10 - carry) % 10)


def test_layout_is_tenant_year_kind_dossier_instalment_zeros_check() -> None:
    """Each part stands at its fixed place."""
    reference = qr_reference(1024, 2026, 3, 987654321, 7)
    assert reference[:26] == "1024" + "26" + "3" + "000987654321" + "007" + "0000"
    assert reference[26] == _check_digit(reference[:26])


def test_check_digit_agrees_with_the_published_example() -> None:
    """The example of the implementation guidelines keeps its check digit 7 under our own arithmetic."""
    assert _check_digit("21000000000313947143000901") == "7"


@given(
    tenant_no=st.integers(1, 9_999),
    year=st.integers(2000, 2099),
    kind=st.integers(0, 9),
    dossier_number=st.integers(1, 999_999_999_999),
    instalment=st.integers(0, 999),
)
def test_what_is_written_is_read_back(
    tenant_no: int, year: int, kind: int, dossier_number: int, instalment: int
) -> None:
    """Writing and parsing are inverse, and the check digit is always the recursive one."""
    reference = qr_reference(tenant_no, year, kind, dossier_number, instalment)
    assert len(reference) == 27
    assert reference[26] == _check_digit(reference[:26])
    expected = QrReference(tenant_no, year, kind, dossier_number, instalment)
    assert parse_qr_reference(format_qr_reference(reference)) == expected


@given(position=st.integers(0, 26), shift=st.integers(1, 9))
def test_one_wrong_digit_is_always_found(position: int, shift: int) -> None:
    """A mistyped digit never yields another valid reference."""
    reference = qr_reference(1024, 2026, 1, 42, 1)
    wrong = reference[:position] + str((int(reference[position]) + shift) % 10) + reference[position + 1 :]
    with pytest.raises(ValueError, match="expected"):
        parse_qr_reference(wrong)


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("tenant_no", (0, 2026, 1, 1, 1)),
        ("tenant_no", (10_000, 2026, 1, 1, 1)),
        ("year", (1, 1999, 1, 1, 1)),
        ("year", (1, 26, 1, 1, 1)),
        ("kind", (1, 2026, 10, 1, 1)),
        ("kind", (1, 2026, -1, 1, 1)),
        ("dossier_number", (1, 2026, 1, 10**12, 1)),
        ("dossier_number", (1, 2026, 1, 0, 1)),
        ("instalment", (1, 2026, 1, 1, 1_000)),
    ],
)
def test_a_part_that_does_not_fit_is_named(part: str, values: tuple[int, int, int, int, int]) -> None:
    """A part outside its digits is refused by name instead of spilling into its neighbour."""
    with pytest.raises(ValueError, match=part):
        qr_reference(*values)


@pytest.mark.parametrize("text", ["", "1", "0" * 26, "٣" * 27, "RF18539007547034", "210000000003139471430009017"])
def test_foreign_references_are_refused_without_repeating_them(text: str) -> None:
    """Neither rubbish nor somebody else's valid reference is taken for ours, and the message repeats no input."""
    with pytest.raises(ValueError, match="expected") as refusal:
        parse_qr_reference(text)
    assert not text or text not in str(refusal.value) or len(text) == 1


def test_printed_form_has_groups_of_five() -> None:
    """A bill prints two digits and five groups of five."""
    assert format_qr_reference("210000000003139471430009017") == "21 00000 00003 13947 14300 09017"
