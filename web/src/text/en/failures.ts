// What a failed call means, by the code of its problem; what has no words here is shown in the API's own.

export interface FailureWords {
  readonly words: string;
  readonly fix: string;
}

export const failures: {
  readonly unknown: FailureWords;
  readonly later: (wait: string) => string;
  readonly byCode: Readonly<Record<string, FailureWords>>;
  readonly byStatus: Readonly<Record<number, FailureWords>>;
} = {
  unknown: { words: 'Something went wrong.', fix: 'Try again. If it happens again, contact your administrator.' },
  later: (wait) => `Try again in ${wait}.`,
  byCode: {
    unreachable: {
      words: 'The service cannot be reached.',
      fix: 'Check your connection to the internet and try again.',
    },
    'too-slow': {
      words: 'The service did not answer in time.',
      fix: 'What was asked may have happened all the same: look before you repeat it.',
    },
    'broken-off': { words: 'The call was stopped.', fix: 'Try again.' },
    'signed-out': { words: 'Your sign-in has ended.', fix: 'Sign in again to go on.' },
    forbidden: {
      words: 'You may not do this.',
      fix: 'Contact your administrator if you need write access to the Mailchimp module.',
    },
    internal: {
      words: 'Something went wrong in the service.',
      fix: 'Try again. If it happens again, contact your administrator.',
    },
    upstream: {
      words: 'PracBill or Mailchimp answered something that cannot be used.',
      fix: 'Try again in a few minutes.',
    },
    'not-found': {
      words: 'What you ask for is not there any more.',
      fix: 'Somebody may have deleted it. Load the page again to see what there is.',
    },
    'bad-input': { words: 'Some fields are not valid.', fix: 'Correct them and try again.' },
    'no-audience': { words: 'No audience is selected.', fix: 'Choose one in the Audience Overview panel.' },
    'key-rejected': {
      words: 'Invalid API key: Mailchimp does not accept it any more.',
      fix: 'Replace the key in the Connection Status panel.',
    },
    'run-active': { words: 'A sync is running.', fix: 'Wait for its end, or stop it in the Sync panel.' },
    'too-many-segments': {
      words: 'A department has at most 100 segments, since every sync works out who belongs to each.',
      fix: 'Delete one that nobody needs.',
    },
    'still-under-way': { words: 'The audience is still being created.', fix: 'Try again in a moment.' },
    'refused-by-mailchimp': {
      words: 'Mailchimp does not accept what was sent.',
      fix: 'Correct the marked fields and try again.',
    },
    'webhook-refused': {
      words: 'Mailchimp does not accept the webhook.',
      fix: 'Nothing is lost: each sync reads opt-outs. If it happens again, contact your administrator.',
    },
    'not-deleted': {
      words: 'Mailchimp did not delete the contact. No sync adds it again.',
      fix: 'Delete it in Mailchimp by hand, then erase the customer here again.',
    },
    'changed-meanwhile': {
      words: 'Somebody else has changed this in the meantime.',
      fix: 'Load the page again to see the change.',
    },
    'not-connected': {
      words: 'The department is not connected to Mailchimp.',
      fix: 'Connect it in the Connection Status panel.',
    },
  },
  byStatus: {
    429: { words: 'Too many requests at once.', fix: 'Try again in a moment.' },
    502: { words: 'The service cannot be used right now.', fix: 'Try again in a few minutes.' },
    503: { words: 'The service cannot be used right now.', fix: 'Try again in a minute.' },
    504: {
      words: 'The service did not answer in time.',
      fix: 'What was asked may have happened all the same: look before you repeat it.',
    },
  },
};
