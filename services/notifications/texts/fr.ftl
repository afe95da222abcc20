# Courriels aux requérants: phrases courtes, aucun contenu du dossier. Pour chaque état, un objet et un texte.
salutation = Bonjour { $name },
salutation-nameless = Bonjour,
reference = La référence de votre demande est { $reference }.
do-by = Veuillez le faire jusqu’au { $date } au plus tard.
expected-by = Vous aurez de nos nouvelles, selon toute probabilité, d’ici au { $date }.
link = Accéder à votre demande :
closing =
    Meilleures salutations
    Administration communale, { $municipality }

    Ce message a été envoyé automatiquement; les réponses ne sont pas lues.

action-give_consent = Veuillez nous dire, au guichet en ligne, si vous êtes d’accord.
action-confirm_evidence = Veuillez consulter la preuve au guichet en ligne et la confirmer.
action-pay = Le guichet en ligne vous indique comment payer.
action-pay_again = Vous pouvez payer à nouveau au guichet en ligne.
action-download = Vous pouvez télécharger le document au guichet en ligne.
action-contact_authority = Le guichet en ligne indique à qui vous adresser pour toute question.

received-subject = Votre demande { $reference } nous est parvenue
received-body = Merci pour votre demande. Elle nous est parvenue et est en cours d’examen. Pour le moment, vous n’avez rien à faire.
delayed-subject = Votre demande { $reference } prend un peu plus de temps
delayed-body = Un service nécessaire est momentanément inaccessible. Nous réessayons; vous n’avez rien à faire.
consent_needed-subject = Votre demande { $reference } : nous avons besoin de votre accord
consent_needed-body = L’administration possède une preuve nécessaire à votre demande. Nous ne l’obtenons que si vous êtes d’accord.
evidence_ready-subject = Votre demande { $reference } : une preuve est disponible
evidence_ready-body = Nous avons obtenu une preuve pour vous. Elle ne sera utilisée que si vous la confirmez.
payment_due-subject = Votre demande { $reference } : veuillez payer l’émolument
payment_due-body = Un émolument est à payer pour votre demande. Elle avancera ensuite.
payment_declined-subject = Votre demande { $reference } : le paiement a été refusé
payment_declined-body = Le paiement de l’émolument a été refusé. Rien n’a été débité.
payment_abandoned-subject = Votre demande { $reference } : le paiement reste à faire
payment_abandoned-body = Le paiement de l’émolument n’a pas été terminé.
in_progress-subject = Votre demande { $reference } est en cours de traitement
in_progress-body = Merci. Nous traitons votre demande. Pour le moment, vous n’avez rien à faire.
in_review-subject = Votre demande { $reference } est examinée par une personne compétente
in_review-body = Une personne compétente examine votre demande. Pour le moment, vous n’avez rien à faire.
completed-subject = Votre demande { $reference } est traitée
completed-body = Votre demande est traitée.
refused-subject = Décision sur votre demande { $reference }
refused-body = Nous n’avons malheureusement pas pu donner suite à votre demande.
withdrawn-subject = Votre demande { $reference } est retirée
withdrawn-body = Vous avez retiré votre demande. Nous l’avons close; vous n’avez plus rien à faire.
expired-subject = Votre demande { $reference } est close
expired-body = Un délai est échu, c’est pourquoi nous avons clos votre demande. Vous pouvez en déposer une nouvelle à tout moment.
