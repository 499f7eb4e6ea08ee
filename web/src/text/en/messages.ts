// What a sync or an entry of the Sync Logs says, by its code. A message that has no words here is shown in the API's
// own: it names the cause in the words of who refused.

import type { Format } from '../format.ts';

/** What a message may be about. */
export interface Told {
  readonly params: Readonly<Record<string, string | number>>;
  readonly counts: Readonly<Record<string, number>>;
  readonly held: Readonly<Record<string, number>>;
  readonly customers: readonly string[];
}

const DONE: Readonly<Record<string, string>> = {
  add: 'added',
  update: 'updated',
  subscribe: 'subscribed',
  unsubscribe: 'unsubscribed',
  ask: 'asked to confirm',
  archive: 'archived',
  rename: 'with a new e-mail address',
  refused: 'refused by Mailchimp',
  lost: 'not sent (the next sync sends them again)',
  segment_added: 'segment tags added',
  segment_removed: 'segment tags removed',
};
const READ: Readonly<Record<string, string>> = {
  opted_out: 'unsubscribed',
  bounced: 'bounced',
  deleted: 'deleted in Mailchimp',
  resubscribed: 'subscribed again',
  not_accepted: 'subscribed in Mailchimp despite an opt-out, which still counts',
  address_changed: 'changed their address in Mailchimp',
};
const HELD: Readonly<Record<string, string>> = {
  invalid_email: 'Invalid email',
  compliance_state: 'Compliance state',
};

function listed(counts: Told['counts'], names: Readonly<Record<string, string>>, format: Format): string {
  return Object.entries(names)
    .filter(([key]) => (counts[key] ?? 0) > 0)
    .map(([key, name]) => `${format.number(counts[key] ?? 0)} ${name}`)
    .join(', ');
}

function heldBack({ counts, held }: Told, format: Format): string {
  const count = counts.held ?? 0;
  if (count === 0) return '';
  const why = listed(held, HELD, format);
  const who = format.count(count, { one: 'customer is', other: 'customers are' });
  return `${who} held back${why === '' ? '' : ` (${why})`}; the records say why.`;
}

function partly({ counts }: Told, format: Format): string {
  const count = counts.partly_sent ?? 0;
  if (count === 0) return '';
  return `${format.count(count, { one: 'customer is', other: 'customers are' })} partly sent; the records say what is left out.`;
}

function named({ customers }: Told, nobody = ''): string {
  if (customers.length === 0) return nobody === '' ? '' : ` (${nobody})`;
  return ` (customer${customers.length > 1 ? 's' : ''} ${customers.join(', ')})`;
}

function waiting({ params }: Told, format: Format): string {
  const count = Number(params.waiting ?? 0);
  if (count === 0) return '';
  return `${format.count(count, { one: 'consent change waits', other: 'consent changes wait' })} to be sent to PracBill.`;
}

function sentences(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ');
}

function event(what: string, advice = ''): (told: Told, format: Format) => string {
  return (told, format) =>
    sentences(`${what}${named(told, 'no customer has this address')}.`, advice, waiting(told, format));
}

function pulled(told: Told, format: Format): string {
  const read = listed(told.counts, READ, format);
  const sent = told.counts.told ?? 0;
  const updates = format.count(sent, { one: 'update', other: 'updates' });
  return sentences(
    read === '' ? '' : `From Mailchimp: ${read}${named(told)}.`,
    sent === 0 ? '' : `${updates} sent to PracBill.`,
    waiting(told, format),
  );
}

function stoppedAfter({ params }: Told, format: Format): string {
  const [done, planned] = [Number(params.done ?? 0), Number(params.planned ?? 0)];
  if (planned === 0) return '';
  const rest = done < planned ? ' The next sync makes the remaining changes.' : '';
  return `${format.number(done)} of ${format.number(planned)} changes had been made.${rest}`;
}

export const messages: Readonly<Record<string, (told: Told, format: Format) => string>> = {
  running: () => '',
  nothing_to_do: (told, format) => sentences('No changes to sync.', heldBack(told, format), partly(told, format)),
  synced: (told, format) => {
    const done = listed(told.counts, DONE, format);
    return sentences(done === '' ? 'No changes to sync.' : `${done}.`, heldBack(told, format), partly(told, format));
  },
  dry_run: (told, format) =>
    `Preview, nothing was sent. The plan: ${listed(told.counts, DONE, format) || 'no changes'}.`,
  cancelled: (told, format) => sentences(`Cancelled by ${told.params.by || 'staff'}.`, stoppedAfter(told, format)),
  replaced: (told, format) => sentences('Replaced by a newer sync.', stoppedAfter(told, format)),
  disconnected: (told, format) =>
    sentences('The department was disconnected from Mailchimp.', stoppedAfter(told, format)),
  key_rejected: () => 'Invalid API key: Mailchimp no longer accepts it.',
  account_deactivated: () => 'Mailchimp has deactivated the account.',
  wrong_data_centre: () => 'Invalid API key: its server prefix is not the server of its Mailchimp account.',
  stuck: ({ params }, format) =>
    `The sync made no progress for ${format.number(Number(params.minutes))} minutes and was closed. Nothing is lost: start it again. If it happens twice, contact PracBill’s operators.`,
  waiting: ({ params }, format) =>
    `Waiting for ${params.side}. The sync continues automatically at ${format.time(String(params.until))}.`,
  rate_limit_exceeded: ({ params }, format) =>
    `Rate limit exceeded: Mailchimp asks this service to slow down. The sync continues automatically at ${format.time(String(params.until))}.`,
  pulled,
  pracbill_not_told: pulled,
  pracbill_told: ({ counts }, format) =>
    `${format.count(counts.told ?? 0, { one: 'waiting update has', other: 'waiting updates have' })} been sent to PracBill.`,
  opted_out: event('A contact unsubscribed in Mailchimp'),
  bounced: event('Mail to a contact bounced'),
  deleted: event('A contact was deleted in Mailchimp'),
  resubscribed: event('A contact subscribed again in Mailchimp'),
  not_accepted: event(
    'A contact was subscribed in Mailchimp although the person opted out',
    'The next sync unsubscribes the contact again.',
  ),
  address_changed: event('A contact changed the e-mail address in Mailchimp', 'Change it in PracBill too.'),
  status: event('A contact’s status changed in Mailchimp'),
  erased: () => 'A customer’s data was erased, in Mailchimp and here.',
  segment_made_again: ({ params }) =>
    `The tag of the segment “${params.name}” was deleted in Mailchimp. The sync created it again.`,
};

/** Why a sync waits for approval. */
export const brakes: Readonly<Record<string, (params: Told['params'], format: Format) => string>> = {
  share: ({ planned, members }, format) =>
    `The sync would unsubscribe or archive ${format.number(Number(planned))} of the department’s ${format.number(Number(members))} members, more than a third of them. Check that PracBill sends all customers.`,
  removals: ({ planned, audience, limit }, format) =>
    `The sync would unsubscribe or archive ${format.number(Number(planned))} of ${format.number(Number(audience))} members, more than the limit of ${format.number(Number(limit))}.`,
  segments: ({ planned, members }, format) =>
    `PracBill no longer lists the customers of ${format.number(Number(planned))} of the department’s ${format.number(Number(members))} members. They would stay in the audience and lose the tags of all segments. Check that PracBill sends all customers.`,
  additions: ({ planned, audience, limit }, format) =>
    `The scheduled sync would add or subscribe ${format.number(Number(planned))} members to ${format.number(Number(audience))}, more than the limit of ${format.number(Number(limit))}.`,
};
