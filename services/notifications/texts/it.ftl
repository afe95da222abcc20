# Messaggi ai richiedenti: frasi brevi, nessun contenuto dell’incarto. Per ogni stato un oggetto e un testo.
salutation = Buongiorno { $name }
salutation-nameless = Buongiorno
reference = Il riferimento della sua richiesta è { $reference }.
do-by = La preghiamo di farlo al più tardi entro il { $date }.
expected-by = Riceverà nostre notizie presumibilmente entro il { $date }.
link = Alla sua richiesta:
closing =
    Cordiali saluti
    Amministrazione comunale, { $municipality }

    Questo messaggio è stato inviato automaticamente; le risposte non vengono lette.

action-give_consent = Ci dica, allo sportello online, se è d’accordo.
action-confirm_evidence = Controlli la prova allo sportello online e la confermi.
action-pay = Allo sportello online trova come pagare.
action-pay_again = Può pagare di nuovo allo sportello online.
action-download = Può scaricare il documento allo sportello online.
action-contact_authority = Allo sportello online trova a chi rivolgersi per domande.

received-subject = La sua richiesta { $reference } è pervenuta
received-body = Grazie per la sua richiesta. È pervenuta ed è in corso di verifica. Al momento non deve fare nulla.
delayed-subject = La sua richiesta { $reference } richiede un po’ più di tempo
delayed-body = Un servizio necessario non è al momento raggiungibile. Riproviamo noi; non deve fare nulla.
consent_needed-subject = La sua richiesta { $reference }: serve il suo consenso
consent_needed-body = L’amministrazione dispone di una prova necessaria per la sua richiesta. La richiamiamo solo se è d’accordo.
evidence_ready-subject = La sua richiesta { $reference }: una prova è disponibile
evidence_ready-body = Abbiamo richiamato una prova per lei. Sarà utilizzata solo se la conferma.
payment_due-subject = La sua richiesta { $reference }: la preghiamo di pagare la tassa
payment_due-body = Per la sua richiesta è dovuta una tassa. Dopo il pagamento si prosegue.
payment_declined-subject = La sua richiesta { $reference }: il pagamento è stato rifiutato
payment_declined-body = Il pagamento della tassa è stato rifiutato. Non è stato addebitato nulla.
payment_abandoned-subject = La sua richiesta { $reference }: il pagamento è ancora aperto
payment_abandoned-body = Il pagamento della tassa non è stato concluso.
in_progress-subject = La sua richiesta { $reference } è in elaborazione
in_progress-body = Grazie. Elaboriamo la sua richiesta. Al momento non deve fare nulla.
in_review-subject = La sua richiesta { $reference } è esaminata da una persona competente
in_review-body = Una persona competente esamina la sua richiesta. Al momento non deve fare nulla.
completed-subject = La sua richiesta { $reference } è evasa
completed-body = La sua richiesta è evasa.
refused-subject = Decisione sulla sua richiesta { $reference }
refused-body = Purtroppo non abbiamo potuto accogliere la sua richiesta.
withdrawn-subject = La sua richiesta { $reference } è ritirata
withdrawn-body = Ha ritirato la sua richiesta. L’abbiamo chiusa; non deve fare più nulla.
expired-subject = La sua richiesta { $reference } è chiusa
expired-body = Un termine è scaduto, perciò abbiamo chiuso la sua richiesta. Può presentarne una nuova in ogni momento.
