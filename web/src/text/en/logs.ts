// The Sync Logs panel.

export const logs = {
  title: 'Sync Logs',
  caption: 'History of all sync operations',
  columns: { date: 'Date', direction: 'Direction', type: 'Type', status: 'Status', message: 'Message' },
  directions: { push: 'Push (to Mailchimp)', pull: 'Pull (from Mailchimp)' } as Readonly<Record<string, string>>,
  types: { incremental: 'Incremental', full: 'Full' } as Readonly<Record<string, string>>,
  triggers: {
    schedule: 'by schedule',
    staff: 'by staff',
    webhook: 'by Mailchimp',
    segment_edit: 'after a segment was edited',
    erasure: 'by an erasure',
  } as Readonly<Record<string, string>>,
  statuses: { success: 'Success', error: 'Error', skipped: 'Skipped' } as Readonly<Record<string, string>>,
  cancelled: 'Cancelled',
  csv: 'Download as CSV',
  filters: { direction: 'Direction', type: 'Type', status: 'Status', trigger: 'Started', all: 'All' },
  empty: 'Nothing has been synced yet.',
  noHit: 'No entry fits these filters.',
  clear: 'Clear the filters',
  open: (moment: string) => `Show the sync of ${moment}`,
  more: 'Show older entries',
  entries: { one: 'entry', other: 'entries' },
};
