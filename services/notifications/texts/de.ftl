# Mails an Gesuchstellende: kurze Sätze, kein Inhalt des Dossiers. Je Status ein Betreff und ein Text.
salutation = Guten Tag { $name }
salutation-nameless = Guten Tag
reference = Die Referenz Ihrer Anfrage ist { $reference }.
do-by = Bitte erledigen Sie das bis spätestens { $date }.
expected-by = Sie hören voraussichtlich bis { $date } wieder von uns.
link = Zu Ihrer Anfrage:
closing =
    Freundliche Grüsse
    Gemeindeverwaltung { $municipality }

    Diese Nachricht wurde automatisch verschickt; Antworten darauf werden nicht gelesen.

action-give_consent = Bitte sagen Sie uns im Online-Schalter, ob Sie einverstanden sind.
action-confirm_evidence = Bitte sehen Sie den Nachweis im Online-Schalter an und bestätigen Sie ihn.
action-pay = Im Online-Schalter sehen Sie, wie Sie bezahlen können.
action-pay_again = Sie können im Online-Schalter noch einmal bezahlen.
action-download = Sie können das Dokument im Online-Schalter herunterladen.
action-contact_authority = Im Online-Schalter steht, an wen Sie sich bei Fragen wenden können.

received-subject = Ihre Anfrage { $reference } ist eingegangen
received-body = Danke für Ihre Anfrage. Sie ist eingegangen und wird geprüft. Im Moment müssen Sie nichts tun.
delayed-subject = Ihre Anfrage { $reference } dauert etwas länger
delayed-body = Ein nötiger Dienst ist zurzeit nicht erreichbar. Wir versuchen es weiter; Sie müssen nichts tun.
consent_needed-subject = Ihre Anfrage { $reference }: Wir brauchen Ihre Zustimmung
consent_needed-body = Die Verwaltung hat einen Nachweis, der für Ihre Anfrage nötig ist. Wir rufen ihn nur ab, wenn Sie einverstanden sind.
evidence_ready-subject = Ihre Anfrage { $reference }: Ein Nachweis liegt vor
evidence_ready-body = Wir haben einen Nachweis für Sie abgerufen. Er wird erst verwendet, wenn Sie ihn bestätigen.
payment_due-subject = Ihre Anfrage { $reference }: Bitte bezahlen Sie die Gebühr
payment_due-body = Für Ihre Anfrage ist eine Gebühr zu bezahlen. Danach geht es weiter.
payment_declined-subject = Ihre Anfrage { $reference }: Die Zahlung wurde abgelehnt
payment_declined-body = Die Zahlung der Gebühr wurde abgelehnt. Es wurde nichts belastet.
payment_abandoned-subject = Ihre Anfrage { $reference }: Die Zahlung ist noch offen
payment_abandoned-body = Die Zahlung der Gebühr wurde nicht abgeschlossen.
in_progress-subject = Ihre Anfrage { $reference } wird bearbeitet
in_progress-body = Danke. Wir bearbeiten Ihre Anfrage. Im Moment müssen Sie nichts tun.
in_review-subject = Ihre Anfrage { $reference } wird von einer Fachperson geprüft
in_review-body = Eine Fachperson prüft Ihre Anfrage. Im Moment müssen Sie nichts tun.
completed-subject = Ihre Anfrage { $reference } ist erledigt
completed-body = Ihre Anfrage ist erledigt.
refused-subject = Entscheid zu Ihrer Anfrage { $reference }
refused-body = Wir konnten Ihrer Anfrage leider nicht entsprechen.
withdrawn-subject = Ihre Anfrage { $reference } ist zurückgezogen
withdrawn-body = Sie haben Ihre Anfrage zurückgezogen. Wir haben sie geschlossen; Sie müssen nichts mehr tun.
expired-subject = Ihre Anfrage { $reference } ist geschlossen
expired-body = Eine Frist ist abgelaufen, deshalb haben wir Ihre Anfrage geschlossen. Sie können sie jederzeit neu stellen.
