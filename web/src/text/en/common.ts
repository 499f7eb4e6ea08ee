// Words that every panel uses.

export const common = {
  title: 'Mailchimp Integration',
  tabs: 'Parts of the Mailchimp integration',
  views: {
    overview: 'Overview',
    segments: 'Segments',
    sync: 'Sync',
    logs: 'Sync Logs',
    customer: 'Customer',
    reconciliation: 'Reconciliation',
  },
  loading: 'Loading …',
  slow: 'This takes longer than usual. It goes on.',
  tryAgain: 'Try again',
  cancel: 'Cancel',
  leave: {
    title: 'Leave without saving?',
    body: 'What you have typed is lost.',
    yes: 'Leave',
    no: 'Go on editing',
  },
  readOnly: 'You have read access. Connecting, changing and syncing need write access to Mailchimp in this department.',
  staleSince: 'What you see may be out of date.',
  forbidden: {
    title: 'You have no access to Mailchimp in this department',
    body: 'Contact your administrator if you need access to the Mailchimp module.',
  },
  signedOut: {
    words: 'Your sign-in has ended.',
    fix: 'Sign in again to go on. What you have typed stays.',
    action: 'Sign in again',
  },
  misplaced: 'The page does not know which department to show, where the service is, or how to sign in.',
};
