"""Bank files as a bank would send them. Only tests use it."""

from services.payments.bank import NAMESPACE

REFERENCE = "210000000003139471430009017"


def payment(servicer: str = "B1", amount: str = "40.00", more: str = "", kind: str = "QRR") -> str:
    """One `TxDtls`; `more` stands before the remittance information."""
    type_ = f"<Tp><CdOrPrtry><Prtry>{kind}</Prtry></CdOrPrtry></Tp>"
    return f"""<TxDtls><Refs><AcctSvcrRef>{servicer}</AcctSvcrRef></Refs><Amt Ccy="CHF">{amount}</Amt>{more}
      <RltdPties><Dbtr><Pty><Nm>Lea Muster</Nm></Pty></Dbtr></RltdPties>
      <RmtInf><Strd><CdtrRefInf>{type_}<Ref>{REFERENCE}</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>"""


def entry(*payments: str, direction: str = "CRDT", status: str = "BOOK", reversal: str = "false") -> str:
    """One `Ntry`, batch-booked."""
    return f"""<Ntry><NtryRef>CH4431999123000889012</NtryRef><Amt Ccy="CHF">99.00</Amt>
      <CdtDbtInd>{direction}</CdtDbtInd><RvslInd>{reversal}</RvslInd><Sts><Cd>{status}</Cd></Sts>
      <NtryDtls>{"".join(payments)}</NtryDtls></Ntry>"""


def file(*entries: str, namespace: str = NAMESPACE, head: str = "") -> bytes:
    """A whole file."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>{head}<Document xmlns="{namespace}"><BkToCstmrDbtCdtNtfctn>
      <Ntfctn><Acct><Id><IBAN>CH9300762011623852957</IBAN></Id></Acct>{"".join(entries)}</Ntfctn>
      </BkToCstmrDbtCdtNtfctn></Document>""".encode()
