// Numbers and moments in the reader's language and time zone.

export class Format {
  readonly lang: string;
  readonly #number: Intl.NumberFormat;
  readonly #signed: Intl.NumberFormat;
  readonly #plural: Intl.PluralRules;
  readonly #moment: Intl.DateTimeFormat;
  readonly #day: Intl.DateTimeFormat;
  readonly #time: Intl.DateTimeFormat;
  readonly #relative: Intl.RelativeTimeFormat;

  constructor(lang: string) {
    this.lang = knownLanguage(lang);
    this.#number = new Intl.NumberFormat(this.lang);
    this.#signed = new Intl.NumberFormat(this.lang, { signDisplay: 'exceptZero' });
    this.#plural = new Intl.PluralRules(this.lang);
    this.#moment = new Intl.DateTimeFormat(this.lang, { dateStyle: 'medium', timeStyle: 'short' });
    this.#day = new Intl.DateTimeFormat(this.lang, { dateStyle: 'medium', timeZone: 'UTC' });
    this.#time = new Intl.DateTimeFormat(this.lang, { timeStyle: 'short' });
    this.#relative = new Intl.RelativeTimeFormat(this.lang, { numeric: 'auto' });
  }

  number(value: number): string {
    return this.#number.format(value);
  }

  /** "+12", "−3": a change. */
  signed(value: number): string {
    return this.#signed.format(value);
  }

  /** "1 customer", "2,000 customers": the form that the language asks for. */
  count(value: number, forms: Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }): string {
    return `${this.number(value)} ${forms[this.#plural.select(value)] ?? forms.other}`;
  }

  moment(instant: string): string {
    return this.#moment.format(new Date(instant));
  }

  /** A day as it is written, such as 2026-11-28, wherever the reader is. */
  day(date: string): string {
    return this.#day.format(new Date(date));
  }

  time(instant: string): string {
    return this.#time.format(new Date(instant));
  }

  /** "12 minutes ago", "in 2 hours". */
  relative(instant: string, now: Date): string {
    const seconds = Math.round((new Date(instant).getTime() - now.getTime()) / 1000);
    const size = Math.abs(seconds);
    if (size < 45) return this.#relative.format(0, 'minute');
    if (size < 45 * 60) return this.#relative.format(Math.round(seconds / 60), 'minute');
    if (size < 22 * 3600) return this.#relative.format(Math.round(seconds / 3600), 'hour');
    if (size < 26 * 86_400) return this.#relative.format(Math.round(seconds / 86_400), 'day');
    return this.#relative.format(Math.round(seconds / (30.4 * 86_400)), 'month');
  }

  /** "40 seconds", "3 minutes": a wait. */
  wait(seconds: number): string {
    const inMinutes = seconds >= 90;
    const unit = inMinutes ? 'minute' : 'second';
    const value = inMinutes ? Math.ceil(seconds / 60) : Math.max(1, Math.ceil(seconds));
    return new Intl.NumberFormat(this.lang, { style: 'unit', unit, unitDisplay: 'long' }).format(value);
  }
}

function knownLanguage(lang: string): string {
  try {
    return Intl.getCanonicalLocales(lang)[0] ?? 'en';
  } catch {
    return 'en';
  }
}
