// What needs attention, by the finding's code. A finding that has no words here is shown in the API's own.

import type { Format } from '../format.ts';

type Params = Readonly<Record<string, string | number>>;

export interface FindingWords {
  readonly words: string;
  readonly fix: string;
}

const NEW_KEY = 'Generate a new API key in Mailchimp (Account & billing, Extras, API keys) and replace the key here.';
const DATE = 'a date such as 2026-07-14';

function unreadable(what: string, expected: string): (params: Params, format: Format) => FindingWords {
  return (params, format) => ({
    words: `${format.count(Number(params.count), { one: 'customer has', other: 'customers have' })} ${what} that cannot be read (customer ${params.example}). No segment rule about it finds them.`,
    fix: `Correct it in PracBill: ${expected}. If it looks right there, ask PracBill's developers what they send.`,
  });
}

export const findings: Readonly<Record<string, (params: Params, format: Format) => FindingWords>> = {
  key_rejected: () => ({ words: 'Invalid API key: Mailchimp no longer accepts it. Syncs are stopped.', fix: NEW_KEY }),
  wrong_data_centre: () => ({
    words: 'Invalid API key: it belongs to another Mailchimp server than its ending says. Syncs are stopped.',
    fix: NEW_KEY,
  }),
  account_deactivated: () => ({
    words: 'Mailchimp has deactivated the account. Syncs are stopped.',
    fix: 'Log in to Mailchimp to see why. When the account is active again, replace the key, with the same one if it is still there.',
  }),
  no_audience: () => ({
    words: 'No audience is selected, so nothing is synced.',
    fix: 'Select an audience of the account, or create one.',
  }),
  audience_gone: () => ({
    words: 'The audience no longer exists in Mailchimp.',
    fix: 'Select another audience for this department, or create one.',
  }),
  paused: () => ({
    words:
      'Scheduled syncs are paused. Unsubscribes in Mailchimp still arrive; everything else waits for a manual sync.',
    fix: 'Switch scheduled syncs on again in the settings when the department is to be synced by itself.',
  }),
  mailchimp_away: () => ({
    words: 'Mailchimp could not be asked just now. The member count is the one from before, if there is one.',
    fix: 'Wait a few minutes and look again.',
  }),
  no_recent_sync: (params, format) => ({
    words:
      params.since === undefined
        ? 'No sync has succeeded yet, though syncs are scheduled.'
        : `No sync has succeeded since ${format.moment(String(params.since))}, though syncs are scheduled.`,
    fix: 'Look at the Sync Logs for the cause. When it is mended, press Sync Now.',
  }),
  unreadable_balance: unreadable('a balance', 'digits with a point, such as 1250.00'),
  unreadable_last_invoice_at: unreadable('a last invoice date', DATE),
  unreadable_created_at: unreadable('a creation date', DATE),
};
