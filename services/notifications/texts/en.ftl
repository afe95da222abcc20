# Mails to applicants: short sentences, nothing of the dossier's content. A subject and a body for each status.
salutation = Dear { $name },
salutation-nameless = Good day,
reference = The reference of your request is { $reference }.
do-by = Please do so by { $date } at the latest.
expected-by = You will probably hear from us again by { $date }.
link = Go to your request:
closing =
    Kind regards
    Municipal administration, { $municipality }

    This message was sent automatically; replies to it are not read.

action-give_consent = Please tell us at the online counter whether you agree.
action-confirm_evidence = Please look at the evidence at the online counter and confirm it.
action-pay = The online counter shows you how to pay.
action-pay_again = You can pay again at the online counter.
action-download = You can download the document at the online counter.
action-contact_authority = The online counter tells you whom to contact if you have questions.

received-subject = We have received your request { $reference }
received-body = Thank you for your request. We have received it and are checking it. There is nothing you need to do at the moment.
delayed-subject = Your request { $reference } takes a little longer
delayed-body = A service that we need cannot be reached at the moment. We keep trying; you need not do anything.
consent_needed-subject = Your request { $reference }: we need your consent
consent_needed-body = The administration holds a piece of evidence that your request needs. We only fetch it if you agree.
evidence_ready-subject = Your request { $reference }: a piece of evidence is ready
evidence_ready-body = We have fetched a piece of evidence for you. It will only be used if you confirm it.
payment_due-subject = Your request { $reference }: please pay the fee
payment_due-body = A fee is to be paid for your request. Once it is paid, your request moves on.
payment_declined-subject = Your request { $reference }: the payment was declined
payment_declined-body = The payment of the fee was declined. Nothing was charged.
payment_abandoned-subject = Your request { $reference }: the payment is still open
payment_abandoned-body = The payment of the fee was not completed.
in_progress-subject = Your request { $reference } is being processed
in_progress-body = Thank you. We are processing your request. There is nothing you need to do at the moment.
in_review-subject = A case worker is looking at your request { $reference }
in_review-body = A case worker is looking at your request. There is nothing you need to do at the moment.
completed-subject = Your request { $reference } is completed
completed-body = Your request is completed.
refused-subject = Decision on your request { $reference }
refused-body = Unfortunately we could not grant your request.
withdrawn-subject = Your request { $reference } is withdrawn
withdrawn-body = You have withdrawn your request. We have closed it; there is nothing left for you to do.
expired-subject = Your request { $reference } is closed
expired-body = A deadline has passed, so we have closed your request. You can make a new one at any time.
