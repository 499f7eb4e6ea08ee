// The Settings panel. Each choice says what it does.

export const settings = {
  title: 'Settings',
  notConnected: 'Connect the department to Mailchimp first.',
  unknownConsent: {
    legend: 'Unknown consent',
    hint: 'For new customers without a recorded consent and without an opt-out. Members who are in the audience already keep their status.',
    choices: {
      skip: { label: 'Leave out', does: 'They are not added to the audience.' },
      transactional: { label: 'Non-subscribed', does: 'They are in the audience, but campaigns do not reach them.' },
      subscribe: {
        label: 'Subscribe',
        does: 'Campaigns reach them like customers who have agreed. Only if your customers agreed in a way that PracBill does not record.',
      },
    },
  },
  onRemoved: {
    legend: 'Customers removed from PracBill',
    choices: {
      archive: { label: 'Archive', does: 'The next sync archives them in Mailchimp. An opt-out still counts.' },
      keep: { label: 'Keep', does: 'They stay in the audience as they are.' },
    },
  },
  askAgain: {
    legend: 'When somebody agrees again',
    label: 'Ask again',
    does: 'When PracBill has a consent that is later than a person’s own opt-out, Mailchimp sends the person one e-mail that asks for a confirmation. Otherwise nobody is asked, and the customer is held back.',
  },
  brake: {
    legend: 'Stop for approval',
    hint: 'A sync that would remove more members than the number and more than the share of the audience waits until somebody approves it. So does one that would remove more than a third of the department’s own members, whatever the number. Additions beyond both limits hold scheduled syncs only.',
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
    does: 'No sync starts on schedule until you switch this off. Opt-outs in Mailchimp still count.',
  },
  on: 'On',
  off: 'Off',
  save: 'Save settings',
  reset: 'Take back the changes',
  saved: 'The settings have been saved. The next sync follows them.',
  unchanged: 'Nothing has changed.',
  confirm: {
    title: 'Subscribe customers without recorded consent?',
    body: 'The next sync subscribes new customers without recorded consent, and campaigns reach them. In many countries mailing without consent is against the law.',
    yes: 'Subscribe them',
    no: 'Go back',
  },
};
