// The Settings panel. Each choice says what it does.

export const settings = {
  title: 'Settings',
  notConnected: 'Connect the department to Mailchimp first.',
  unknownConsent: {
    legend: 'Unknown consent',
    hint: 'For new customers of whom PracBill has recorded neither a yes nor a no. Members who are there already keep their status.',
    choices: {
      skip: { label: 'Leave out', does: 'They are not added to the audience.' },
      transactional: { label: 'Non-subscribed', does: 'They are in the audience, but campaigns do not reach them.' },
      subscribe: {
        label: 'Subscribe',
        does: 'They are mailed like those who said yes. Only if your customers agreed in a way that PracBill does not record.',
      },
    },
  },
  onRemoved: {
    legend: 'Customers removed from PracBill',
    choices: {
      archive: { label: 'Archive', does: 'The next sync archives them in Mailchimp. A no stays known.' },
      keep: { label: 'Keep', does: 'They stay in the audience as they are.' },
    },
  },
  askAgain: {
    legend: 'When somebody agrees again',
    label: 'Ask again',
    does: 'When PracBill has a yes that is later than a person’s own no, Mailchimp mails the person one request to confirm. Without it nobody is asked, and the customer is reported.',
  },
  brake: {
    legend: 'Stop for approval',
    hint: 'A sync that would change more than the number and more than the share of the audience waits until somebody approves it.',
    limits: {
      removals: 'Removals, number',
      removals_percent: 'Removals, percent of the audience',
      additions: 'Additions, number',
      additions_percent: 'Additions, percent of the audience',
    },
    wrong: (most: string) => `Enter a whole number from 0 to ${most}.`,
  },
  paused: {
    legend: 'Scheduled syncs',
    label: 'Pause scheduled syncs',
    does: 'No sync starts by itself until you take this back. Opt-outs in Mailchimp still count.',
  },
  on: 'On',
  off: 'Off',
  save: 'Save settings',
  reset: 'Take back the changes',
  saved: 'The settings have been saved. The next sync follows them.',
  unchanged: 'Nothing has changed.',
  confirm: {
    title: 'Subscribe customers who never said yes?',
    body: 'The next sync subscribes new customers without recorded consent, and campaigns reach them. In many countries mailing without consent is against the law.',
    yes: 'Subscribe them',
    no: 'Go back',
  },
};
