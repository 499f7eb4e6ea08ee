// What needs attention, by the finding's code. A finding that has no words here is shown in the API's own.

import type { Format } from '../format.ts';

type Params = Readonly<Record<string, string | number>>;

export interface FindingWords {
  readonly words: string;
  readonly fix: string;
}

const NEW_KEY = 'Generate a new API key in Mailchimp (Account & billing, Extras, API keys) and replace the key here.';
const FIELDS_PAGE = 'Audience, Settings, Audience fields and *|MERGE|* tags';
const WEBHOOK_REASONS: Readonly<Record<string, string>> = {
  unreachable: 'Mailchimp cannot reach the address of this service.',
  invalid_url: 'Mailchimp does not accept the address of this service.',
  exists: 'The audience already has a webhook with this address.',
  no_answer: 'Mailchimp did not answer in time.',
};
const CONTENTS: Readonly<Record<string, string>> = {
  FNAME: 'first names',
  LNAME: 'last names',
  COMPANY: 'company names',
  PHONE: 'phone numbers',
  ADDRESS: 'addresses',
};
const SYNCS: Readonly<Record<string, string>> = {
  selection: 'look at the audience',
  incremental: 'incremental sync',
  full: 'full sync',
  segments: 'sync of segments',
};
const DATE = 'a date such as 2026-07-14';

function contents(tags: string): string {
  return tags
    .split(', ')
    .map((tag) => CONTENTS[tag] ?? tag)
    .join(', ');
}

function unreadable(what: string, expected: string): (params: Params, format: Format) => FindingWords {
  return (params, format) => ({
    words: `${format.count(Number(params.count), { one: 'customer has', other: 'customers have' })} ${what} that cannot be read (${Number(params.count) === 1 ? '' : 'for example '}customer ${params.example}). No segment rule about it finds them.`,
    fix: `Correct it in PracBill: ${expected}. If it looks right there, ask PracBill's developers what PracBill sends.`,
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
    fix: 'Switch scheduled syncs on again in the settings to sync this department on schedule.',
  }),
  mailchimp_away: () => ({
    words: 'Mailchimp could not be asked just now. The member count is the one from before, if there is one.',
    fix: 'Wait a few minutes and load the page again.',
  }),
  no_recent_sync: (params, format) => ({
    words:
      params.since === undefined
        ? 'No sync has succeeded yet, though syncs are scheduled.'
        : `No sync has succeeded since ${format.moment(String(params.since))}, though syncs are scheduled.`,
    fix: 'Look at the Sync Logs for the cause. Once it is fixed, press Sync Now.',
  }),
  last_sync_failed: ({ type, at }, format) => ({
    words: `The last ${SYNCS[String(type)] ?? 'sync'} ended in an error${at === undefined ? '' : ` on ${format.moment(String(at))}`}.`,
    fix: 'The Sync Logs say why. Once the cause is fixed, press Sync Now.',
  }),
  approval_needed: () => ({
    words: 'A sync waits for approval, and no other can start.',
    fix: 'Look at it in the Sync panel, then approve it or stop it.',
  }),
  pracbill_waiting: ({ count, since }, format) => ({
    words: `${format.count(Number(count), { one: 'consent change has', other: 'consent changes have' })} been waiting to be sent to PracBill since ${format.moment(String(since))}.`,
    fix: 'Nothing is lost, and nobody who opted out is mailed. Once PracBill works again, the next sync or event sends these changes. If this lasts, contact PracBill’s developers.',
  }),
  opt_out_refused: ({ count, since }, format) => ({
    words: `${format.count(Number(count), { one: 'person who opted out is', other: 'people who opted out are' })} still subscribed: Mailchimp has refused the unsubscribe since ${format.moment(String(since))}.`,
    fix: 'Unsubscribe these contacts in Mailchimp (Audience, All contacts), or correct the field that Mailchimp names there. The last sync, under Refused by Mailchimp, names each customer. Every sync tries again.',
  }),
  webhook_missing: ({ reason }) => ({
    words:
      `The webhook is missing, so opt-outs arrive with the next sync instead of at once. ${WEBHOOK_REASONS[String(reason)] ?? ''}`.trim(),
    fix: 'Nothing is lost: each sync reads opt-outs, and the webhook is tried again at least once a day. Select the audience again to try at once.',
  }),
  webhook_left_behind: () => ({
    words: 'Our webhook could not be removed from the audience. It has no effect any more.',
    fix: 'Remove it in Mailchimp (Audience, Settings, Webhooks), or leave it: connecting again removes it.',
  }),
  field_type_clash: ({ field, type, wanted }) => ({
    words: `The audience’s field ${field} is of type ${type} instead of ${wanted}, so ${contents(String(field))} are not synced.`,
    fix: `In Mailchimp (${FIELDS_PAGE}) give this field another tag, or delete it if nobody needs it. Then start a sync or select the audience again: the field ${field} is then created with the right type.`,
  }),
  field_not_created: ({ fields }) => ({
    words: `Mailchimp did not create the audience’s field ${fields}, so ${contents(String(fields))} are not synced. Most often the audience already has as many fields as Mailchimp allows.`,
    fix: `Delete fields that nobody needs in Mailchimp (${FIELDS_PAGE}), then start a sync or select the audience again.`,
  }),
  required_fields: ({ fields }) => ({
    words: `The audience requires values that PracBill does not have: ${fields}. Customers are synced without them.`,
    fix: `If forms or other tools fail without these values, make these fields optional in Mailchimp (${FIELDS_PAGE}).`,
  }),
  us_phone_only: () => ({
    words: 'The audience’s field PHONE takes only numbers of the form (123) 456-7890; other numbers are left out.',
    fix: `Set the field’s phone format to international in Mailchimp (${FIELDS_PAGE}); the next sync sends them.`,
  }),
  double_optin: () => ({
    words:
      'The audience has double opt-in. It holds for Mailchimp’s own forms: customers whose consent is recorded in PracBill are subscribed without a confirmation mail.',
    fix: 'Record a customer’s consent in PracBill only if the person has given it.',
  }),
  marketing_permissions: () => ({
    words:
      'The audience has marketing permissions (GDPR fields). PracBill does not record them, so synced customers have none, and campaigns that are limited to a permission do not reach them.',
    fix: 'Let people tick permissions on a Mailchimp form, or do not limit campaigns for synced customers to a permission.',
  }),
  audience_shared: () => ({
    words:
      'Another department keeps this audience up to date, too. When either of them removes a customer, the contact may be archived although the other one still has the customer.',
    fix: 'Choose an audience of its own for each department.',
  }),
  foreign_webhooks: ({ hosts }) => ({
    words: `The audience also reports changes to: ${hosts}. Another tool may sync this audience, too.`,
    fix: 'Check that no other tool subscribes or archives the same people. If one is no longer used, remove its webhook in Mailchimp (Audience, Settings, Webhooks).',
  }),
  unreadable_balance: unreadable('a balance', 'digits with a point, such as 1250.00'),
  unreadable_last_invoice_at: unreadable('a last invoice date', DATE),
  unreadable_created_at: unreadable('a creation date', DATE),
};
