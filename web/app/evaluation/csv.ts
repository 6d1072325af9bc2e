// Results as comma-separated values (RFC 4180), for spreadsheets.

export interface Classified {
  readonly name: string;
  readonly probabilities: readonly { readonly label: string; readonly probability: number }[];
}

/** A field; a leading =, +, - or @ would be a formula to a spreadsheet, so it gets a quote in front. */
function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One row for each picture: name, label, probability, whether it reaches the threshold, and every class's probability. */
export function csvOf(classes: readonly string[], rows: readonly Classified[], threshold: number): string {
  const head = ['file', 'label', 'probability', 'sure', ...classes];
  const lines = rows.map(({ name, probabilities }) => {
    const best = probabilities.reduce((a, b) => (b.probability > a.probability ? b : a));
    const numbers = probabilities.map(({ probability }) => String(probability));
    return [
      field(name),
      field(best.label),
      String(best.probability),
      best.probability >= threshold ? 'yes' : 'no',
      ...numbers,
    ].join(',');
  });
  return `${[head.map(field).join(','), ...lines].join('\r\n')}\r\n`;
}
