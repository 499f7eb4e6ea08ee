// Why something was not done for a customer, and what mends it, by the code of a record or of a verdict. A case that has
// no words here is shown in the API's own: it quotes what single customers have.

type Params = Readonly<Record<string, string | number>>;

export interface CaseWords {
  readonly cause: string;
  readonly fix: string;
}

const FORM = 'The person must sign up with a Mailchimp form of this audience.';
const NOTHING = 'Nothing to do:';
const FIELDS: Readonly<Record<string, string>> = {
  COMPANY: 'the company name',
  FNAME: 'the first name',
  LNAME: 'the last name',
  PHONE: 'the phone number',
  ADDRESS: 'the postal address',
};
const WHO: Readonly<Record<string, string>> = {
  person: 'the person unsubscribed',
  spam: 'the person reported a campaign as spam',
  admin: 'a user unsubscribed this contact',
};

function fieldOf({ field }: Params): string {
  const tag = String(field ?? '').replace(/^merge_fields\./, '');
  if (tag === '') return 'one of the fields';
  return FIELDS[tag] === undefined ? `the field ${tag}` : `${FIELDS[tag]} (${tag})`;
}

function quoting(cause: string, { said }: Params): string {
  return said === undefined ? cause : `${cause} Mailchimp says: ${said}.`;
}

/** A case that is told the same of everybody. */
function plain(cause: string, fix: string): () => CaseWords {
  return () => ({ cause, fix });
}

/** A refusal, with Mailchimp's own words where there are any. */
function refusal(cause: string, fix: string): (params: Params) => CaseWords {
  return (params) => ({ cause: quoting(cause, params), fix });
}

export const cases: Readonly<Record<string, (params: Params) => CaseWords>> = {
  no_email: plain('No e-mail address: the customer has none in PracBill.', 'Add an e-mail address in PracBill.'),
  invalid_email: refusal(
    'Invalid email: the customer has an invalid e-mail format in PracBill.',
    'Fix the e-mail address in PracBill; the next sync tries it.',
  ),
  looks_fake: refusal(
    'Invalid email: Mailchimp considers the e-mail address fake or mistyped.',
    'Check the part after the @ for typing errors and fix the e-mail address in PracBill.',
  ),
  unusable_record: plain(
    'PracBill sent this record without the parts that every customer has.',
    'PracBill’s developers should look at it: a customer needs an id and updated_at.',
  ),
  opted_out: (params) =>
    params.who === undefined
      ? {
          cause: 'Opted out: PracBill has recorded that this person does not want marketing mail.',
          fix: `${NOTHING} unless the person agrees again. Then record the consent in PracBill, with its day and time.`,
        }
      : compliance(params),
  no_consent: plain(
    'No consent: PracBill has no marketing consent recorded, and the settings say to leave such customers out.',
    'Record the person’s consent in PracBill, or change the setting Unknown consent.',
  ),
  compliance_state: (params) => compliance(params),
  consent_in_future: plain(
    'Consent dated in the future: the time of the consent in PracBill has not come yet, so it does not count as later than what Mailchimp or PracBill recorded before.',
    'Correct the day and time of the consent in PracBill.',
  ),
  previously_unsubscribed: refusal('Compliance state: the person unsubscribed from this audience before.', FORM),
  cleaned: plain(
    'Bounced: Mailchimp could not deliver to this address and no longer mails it.',
    'Check the address with the customer and enter the right one in PracBill.',
  ),
  forgotten: plain(
    'No longer in Mailchimp: the contact was permanently deleted there, or the person changed the address. No sync can add this address again.',
    `If the person has a new address, enter it in PracBill. Otherwise: ${FORM}`,
  ),
  not_confirmed: plain(
    'Not confirmed: Mailchimp has sent this person an e-mail that asks for a confirmation, and waits for the answer.',
    `${NOTHING} the person decides. If the e-mail was lost, they can sign up with a Mailchimp form of this audience.`,
  ),
  not_subscribed: plain(
    'Non-subscribed in Mailchimp: the contact was there before, and what Mailchimp holds is newer than the consent in PracBill.',
    'Record the person’s consent in PracBill again, or ask the person to sign up with a Mailchimp form.',
  ),
  archived: plain(
    'Archived in Mailchimp: a user archived this contact there, so the sync does not change it.',
    'Restore the contact in Mailchimp if that was a mistake.',
  ),
  address_changed: plain(
    'Address changed: the person changed the e-mail address in Mailchimp, so this one is no longer there and no sync adds it again.',
    'Ask the customer for the new address and enter it in PracBill.',
  ),
  erased: plain(
    'Erased: this person’s data was erased at their request. No sync adds this address again.',
    `${NOTHING} the person may sign up again with a Mailchimp form of this audience.`,
  ),
  changed_meanwhile: plain(
    'The consent for this address changed while the sync was running, so nothing was sent.',
    `${NOTHING} the next sync checks this customer again.`,
  ),
  chunk_failed: plain(
    'Not sent: several calls to Mailchimp for this part of the sync failed. The Sync Logs give the cause.',
    `${NOTHING} the next sync sends it again. Retry failed starts one at once.`,
  ),
  signup_throttle: refusal(
    'Too many sign-ups: the address was signed up for many Mailchimp audiences lately, so Mailchimp does not accept it for now.',
    `${NOTHING} it is tried again after 5 minutes, 1 day, 2 days and 7 days.`,
  ),
  merge_field_invalid: (params) => ({
    cause: quoting(`Invalid field: Mailchimp does not accept what the customer has for ${fieldOf(params)}.`, params),
    fix: `Correct ${fieldOf(params)} in PracBill.`,
  }),
  merge_field_required: (params) => ({
    cause: quoting(`Missing field: the audience requires a value for ${fieldOf(params)}.`, params),
    fix: 'Enter it in PracBill, or make the field optional in Mailchimp: Audience, Settings, Audience fields.',
  }),
  foreign_field_invalid: (params) => ({
    cause: quoting(
      `Invalid field: Mailchimp does not accept what the contact has for ${fieldOf(params)}, which PracBill does not fill.`,
      params,
    ),
    fix: `Correct ${fieldOf(params)} in the contact’s profile in Mailchimp. If the contact should get no more mail, unsubscribe it in Mailchimp.`,
  }),
  foreign_field_required: (params) => ({
    cause: quoting(
      `Missing field: the audience requires a value for ${fieldOf(params)}, which PracBill does not fill.`,
      params,
    ),
    fix: `Make ${fieldOf(params)} optional in Mailchimp: Audience, Settings, Audience fields. If the contact should get no more mail, unsubscribe it in Mailchimp.`,
  }),
  plan_full: refusal(
    'Plan limit: the Mailchimp plan allows no further contacts.',
    'Archive contacts that are not needed in Mailchimp, or change the plan; it is tried twice more.',
  ),
  already_member: refusal(
    'Already a member: another user or tool added the address to the audience at the same time.',
    `${NOTHING} the next sync updates it.`,
  ),
  cannot_archive: refusal(
    'Cannot be archived: Mailchimp does not archive contacts that bounced or wait for a confirmation.',
    `${NOTHING} such a contact gets no mail. Archive it in Mailchimp if it should leave the audience.`,
  ),
  stays_archived: refusal(
    'Stays archived: the customer is back, but Mailchimp does not restore the contact without a consent.',
    'Record the person’s consent in PracBill, or restore the contact in Mailchimp.',
  ),
  cannot_rename: refusal(
    'Address not changed: Mailchimp changes the e-mail address of subscribed contacts only.',
    `${NOTHING} the old address is archived and the new one added.`,
  ),
  rename_clash: refusal(
    'Address not changed: the customer’s new e-mail address is already in the audience.',
    `${NOTHING} the old address is archived and the contact that is there is updated.`,
  ),
  no_answer: refusal(
    'Mailchimp fails: each call with this address is answered with an internal error, or not at all.',
    `${NOTHING} at first it is tried again after 15 minutes, 4 hours, 1 day and 7 days. If this lasts, report the address to Mailchimp’s support.`,
  ),
  unknown: refusal(
    'Refused by Mailchimp for a reason that is not known here.',
    'Read what Mailchimp says and correct the customer in PracBill if it says so. The address is tried twice more.',
  ),
};

function compliance(params: Params): CaseWords {
  const who = WHO[String(params.who)];
  const what = who ? `${who} in Mailchimp on ${params.date}` : 'this address was unsubscribed in Mailchimp before';
  return {
    cause: quoting(`Compliance state: ${what} and cannot be added again without the person’s own consent.`, params),
    fix: 'Ask the person to sign up with a Mailchimp form of this audience. With the setting Ask again, a consent recorded in PracBill after the opt-out makes Mailchimp send them a confirmation.',
  };
}
