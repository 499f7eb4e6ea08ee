// The settings as they are typed, and what of them has changed.

import type { Settings, SettingsChange } from '../api/types.ts';

export const LIMITS = ['removals', 'removals_percent', 'additions', 'additions_percent'] as const;
export type Limit = (typeof LIMITS)[number];

/** Limits are texts here, since they are typed. */
export type SettingsForm = Pick<Settings, 'unknown_consent' | 'on_removed' | 'ask_again' | 'paused'> &
  Readonly<Record<Limit, string>>;

// As the service takes them.
const MOST: Readonly<Record<Limit, number>> = {
  removals: 10_000_000,
  removals_percent: 100,
  additions: 10_000_000,
  additions_percent: 100,
};

export function formOf(settings: Settings): SettingsForm {
  const { unknown_consent, on_removed, ask_again, paused, brake } = settings;
  return {
    unknown_consent,
    on_removed,
    ask_again,
    paused,
    removals: String(brake.removals),
    removals_percent: String(brake.removals_percent),
    additions: String(brake.additions),
    additions_percent: String(brake.additions_percent),
  };
}

/** The limits that are no whole number within their bounds, with the greatest that may be. */
export function wrongLimits(form: SettingsForm): Partial<Record<Limit, number>> {
  const wrong = LIMITS.filter((limit) => !/^\d+$/.test(form[limit].trim()) || Number(form[limit]) > MOST[limit]);
  return Object.fromEntries(wrong.map((limit) => [limit, MOST[limit]]));
}

/** What to send: only what has changed, so that a colleague's change of the rest stays. Null: nothing has changed. */
export function changesOf(form: SettingsForm, settings: Settings): SettingsChange | null {
  const brake = Object.fromEntries(
    LIMITS.filter((limit) => Number(form[limit]) !== settings.brake[limit]).map((limit) => [
      limit,
      Number(form[limit]),
    ]),
  );
  const changes: SettingsChange = {
    ...(form.unknown_consent === settings.unknown_consent ? {} : { unknown_consent: form.unknown_consent }),
    ...(form.on_removed === settings.on_removed ? {} : { on_removed: form.on_removed }),
    ...(form.ask_again === settings.ask_again ? {} : { ask_again: form.ask_again }),
    ...(form.paused === settings.paused ? {} : { paused: form.paused }),
    ...(Object.keys(brake).length === 0 ? {} : { brake }),
  };
  return Object.keys(changes).length === 0 ? null : changes;
}
