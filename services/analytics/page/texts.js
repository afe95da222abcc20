// Every text of the live page in four languages. Owns no markup.

const all = {
  title: ["Online-Schalter: Stand jetzt", "Guichet en ligne : état actuel", "Sportello online: situazione attuale", "Online counter: right now"],
  live: ["Live – Änderungen erscheinen von selbst", "En direct – les changements s’affichent d’eux-mêmes", "In diretta – le modifiche appaiono da sole", "Live – changes appear by themselves"],
  lost: ["Verbindung unterbrochen – wird wiederhergestellt", "Connexion interrompue – rétablissement en cours", "Connessione interrotta – ripristino in corso", "Connection lost – trying again"],
  connecting: ["Verbindung wird aufgebaut", "Connexion en cours", "Connessione in corso", "Connecting"],
  asOf: ["Zahlen von {time}", "Chiffres de {time}", "Dati delle {time}", "Figures of {time}"],
  incomplete: ["noch nicht alle Teile gemeldet", "toutes les parties n’ont pas encore répondu", "non tutte le parti hanno ancora risposto", "not all parts have reported yet"],
  none: ["Noch nichts zu zeigen.", "Rien à montrer pour l’instant.", "Ancora nulla da mostrare.", "Nothing to show yet."],
  table: ["Als Tabelle", "Sous forme de tableau", "Come tabella", "As a table"],
  dossiers: ["Dossiers nach Dienstleistung", "Dossiers par prestation", "Incarti per prestazione", "Dossiers by service"],
  progress: ["In Arbeit", "En cours", "In elaborazione", "In progress"],
  applicant: ["Wartet auf die Person", "En attente de la personne", "In attesa della persona", "Waiting for the applicant"],
  review: ["Bei einer Fachperson", "Chez un·e spécialiste", "Presso una persona competente", "With a case worker"],
  completed: ["Erledigt", "Terminés", "Evasi", "Completed"],
  refused: ["Abgelehnt", "Refusés", "Respinti", "Refused"],
  ended: ["Zurückgezogen oder abgelaufen", "Retirés ou échus", "Ritirati o scaduti", "Withdrawn or expired"],
  time: ["Vom Einreichen bis zum Entscheid", "Du dépôt à la décision", "Dalla presentazione alla decisione", "From submission to decision"],
  half: ["Die Hälfte ist entschieden in", "La moitié est décidée en", "La metà è decisa in", "Half are decided within"],
  nine: ["Neun von zehn sind entschieden in", "Neuf sur dix sont décidés en", "Nove su dieci sono decisi in", "Nine in ten are decided within"],
  target: ["Ziel: {time}", "Objectif : {time}", "Obiettivo: {time}", "Target: {time}"],
  estimated: ["Geschätzt aus festen Zeitklassen; die Zeitachse ist logarithmisch.", "Estimation à partir de classes de durée fixes ; l’échelle de temps est logarithmique.", "Stima da classi di durata fisse; la scala del tempo è logaritmica.", "Estimated from fixed time classes; the time scale is logarithmic."],
  decisions: ["Wer entscheidet", "Qui décide", "Chi decide", "Who decides"],
  automatic: ["Automatisch", "Automatiquement", "Automaticamente", "Automatically"],
  byHand: ["Durch eine Person", "Par une personne", "Da una persona", "By a person"],
  money: ["Gebühren", "Émoluments", "Tasse", "Fees"],
  succeeded: ["Bezahlt", "Payé", "Pagato", "Paid"],
  open: ["Offen", "En suspens", "In sospeso", "Open"],
  refunded: ["Zurückerstattet", "Remboursé", "Rimborsato", "Refunded"],
  missed: ["Nicht bezahlt", "Non payé", "Non pagato", "Not paid"],
  messages: ["Nachrichten", "Messages", "Messaggi", "Messages"],
  sent: ["Gesendet", "Envoyés", "Inviati", "Sent"],
  queued: ["In der Warteschlange", "En file d’attente", "In coda", "Queued"],
  failed: ["Fehlgeschlagen", "Échoués", "Non riusciti", "Failed"],
  suppressed: ["Nicht mehr nötig", "Devenus inutiles", "Non più necessari", "No longer needed"],
  reuse: ["Nur einmal angeben", "Une seule fois", "Una volta sola", "Only once"],
  fields: ["Felder, die niemand neu eintippen musste", "champs que personne n’a dû ressaisir", "campi che nessuno ha dovuto ridigitare", "fields that nobody had to type again"],
  accepted: ["Nachweise übernommen", "Preuves reprises", "Prove riprese", "Evidence used"],
  rejected: ["Nachweise abgelehnt", "Preuves refusées", "Prove rifiutate", "Evidence declined"],
  consultations: ["Mitwirkung", "Participation", "Partecipazione", "Consultations"],
  reserved: ["Für später reserviert.", "Réservé pour plus tard.", "Riservato per il futuro.", "Reserved for later."],
  service: ["Dienstleistung", "Prestation", "Prestazione", "Service"],
  count: ["Anzahl", "Nombre", "Numero", "Count"],
  amount: ["Betrag", "Montant", "Importo", "Amount"],
  what: ["Was", "Quoi", "Cosa", "What"],
  duration: ["Dauer", "Durée", "Durata", "Duration"],
};

export const LANGUAGES = ["de", "fr", "it", "en"];
let language = "de";

export function speak(chosen) {
  language = LANGUAGES.includes(chosen) ? chosen : "de";
  return language;
}

export function text(name, values = {}) {
  const found = all[name][LANGUAGES.indexOf(language)];
  return found.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

const locale = () => `${language}-CH`;
export const number = (value) => new Intl.NumberFormat(locale()).format(value);
export const percent = (share) => new Intl.NumberFormat(locale(), { style: "percent" }).format(share);
export const money = (rappen) => new Intl.NumberFormat(locale(), { style: "currency", currency: "CHF" }).format(rappen / 100);
export const clock = (iso) => new Date(iso).toLocaleTimeString(locale());

export function duration(seconds) {
  if (seconds === null) return "–";
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, size]) => seconds >= size) ?? units[3];
  const options = { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: seconds < 10 * size ? 1 : 0 };
  return new Intl.NumberFormat(locale(), options).format(seconds / size);
}
