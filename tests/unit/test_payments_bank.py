"""Bank files: only booked single credits of a camt.054.001.08 are read, and nothing hostile gets through."""

import pytest

from services.payments.bank import Credit, UnreadableFile, read_credits
from tests.unit.bank_samples import REFERENCE, entry, file, payment


def test_single_payments_of_a_batch_are_read() -> None:
    """Two payments in one batch are two credits, with account, bank's id, reference and rappen."""
    found = read_credits(file(entry(payment("B1"), payment("B2", "0.05"))))
    assert found == (
        Credit("CH9300762011623852957", "B1", REFERENCE, 4000, "CHF"),
        Credit("CH9300762011623852957", "B2", REFERENCE, 5, "CHF"),
    )


@pytest.mark.parametrize(
    "left_out",
    [
        entry(payment(), direction="DBIT"),
        entry(payment(), status="PDNG"),
        entry(payment(), reversal="true"),
        entry(payment(more="<CdtDbtInd>DBIT</CdtDbtInd>")),
    ],
    ids=["debit", "pending", "reversal", "debit-in-batch"],
)
def test_what_is_no_booked_credit_is_left_out(left_out: str) -> None:
    """Debits, pending entries and reversals pay nothing."""
    assert [credit.servicer_reference for credit in read_credits(file(left_out, entry(payment("B9"))))] == ["B9"]


def test_only_a_qr_reference_is_a_reference() -> None:
    """Another kind of reference cannot be one of ours."""
    assert read_credits(file(entry(payment(kind="SCOR"))))[0].reference is None


def test_a_lone_payment_may_lean_on_its_entry() -> None:
    """Without details, the entry itself says amount and bank's id."""
    lone = f"""<Ntry><Amt Ccy="CHF">12.5</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
      <AcctSvcrRef>E1</AcctSvcrRef></Ntry>{entry(payment("B2"))}"""
    assert [(credit.servicer_reference, credit.amount) for credit in read_credits(file(lone))] == [
        ("E1", 1250),
        ("B2", 4000),
    ]


@pytest.mark.parametrize("amount", ["", "-1.00", "1e5", "1E+999999999", "0.001", "NaN", "12345678901234.00", "1,00"])
def test_a_strange_amount_is_refused_with_its_place(amount: str) -> None:
    """The whole file is refused, naming where, before anything is booked."""
    with pytest.raises(UnreadableFile) as refused:
        read_credits(file(entry(payment("B1"), payment("B2", amount))))
    place = "/Document/BkToCstmrDbtCdtNtfctn/Ntfctn/Ntry/NtryDtls/TxDtls/1/Amt"
    assert (refused.value.code, refused.value.pointer) == ("amount_expected", place)


def test_trailing_zeros_are_no_third_decimal() -> None:
    """ISO 20022 allows five decimals; zeros add nothing."""
    assert read_credits(file(entry(payment(amount="40.00000"))))[0].amount == 4000


@pytest.mark.parametrize("servicer", ["", "x" * 36])
def test_a_payment_needs_the_banks_id(servicer: str) -> None:
    """Without it a repeat could not be told from a second payment."""
    with pytest.raises(UnreadableFile, match="servicer_reference_expected"):
        read_credits(file(entry(payment(servicer), payment("B2"))))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "xml_expected"),
        (b"not xml", "xml_expected"),
        (b"<a>", "xml_expected"),
        (b"<?xml version='1.0' encoding='nonsense'?><a/>", "xml_expected"),
        (b"<Document/>", "camt_054_expected"),
        (file(namespace="urn:iso:std:iso:20022:tech:xsd:camt.054.001.04"), "camt_054_expected"),
        (file(head="<!DOCTYPE Document>"), "doctype_not_allowed"),
        (file(head='<!DOCTYPE D [<!ENTITY x SYSTEM "file:///etc/hostname">]>'), "doctype_not_allowed"),
        (file(head='<!DOCTYPE D SYSTEM "http://127.0.0.1:9/x.dtd">'), "doctype_not_allowed"),
    ],
    ids=["empty", "text", "cut", "encoding", "other", "old-version", "doctype", "entity", "remote-dtd"],
)
def test_other_files_are_refused(content: bytes, code: str) -> None:
    """Not XML, not this version, or with a DOCTYPE: refused by name."""
    with pytest.raises(UnreadableFile) as refused:
        read_credits(content)
    assert refused.value.code == code


def test_entity_bombs_do_not_unfold() -> None:
    """A billion laughs are refused quickly and without growing."""
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))
    bomb = file(entry(payment("&l9;")), head=f"<!DOCTYPE D [{lol}]>")
    with pytest.raises(UnreadableFile):
        read_credits(bomb)


def test_the_text_of_an_error_repeats_no_value() -> None:
    """Names and amounts of a file never reach a log."""
    with pytest.raises(UnreadableFile) as refused:
        read_credits(file(entry(payment(amount="geheim"))))
    assert "geheim" not in str(refused.value)
    assert "Muster" not in str(refused.value)
