// The Connection Status panel.

export const connection = {
  title: 'Connection Status',
  status: 'Status',
  states: {
    not_connected: 'Not connected',
    connected: 'Connected',
    key_rejected: 'Invalid API key',
    account_deactivated: 'Account deactivated',
    wrong_data_centre: 'Invalid API key',
  },
  account: 'Account',
  server: 'Server prefix',
  key: 'API key',
  keyHint: (hint: string) => `ends in ${hint}`,
  lastSynced: 'Last synced',
  never: 'Never',
  nextSync: 'Next sync',
  notKnown: 'Not known yet',
  paused: 'Paused',
  findings: 'What needs attention',
  severities: { error: 'Error', warning: 'Warning', info: 'Note' },
  connect: {
    title: 'Connect to Mailchimp',
    intro: 'PracBill keeps one Mailchimp audience up to date with the customers of this department.',
    label: 'Mailchimp API key',
    hint: 'It looks like 0123456789abcdef0123456789abcdef-us21.',
    where: 'Where do I find my API key?',
    steps: [
      'Log in to your Mailchimp account.',
      'Click your profile icon, then Account & billing.',
      'Go to Extras, then API keys.',
      'Click Create A Key.',
      'Copy the key and paste it here. Mailchimp shows it only once.',
    ],
    secret: 'An API key gives full access to your Mailchimp account. It is stored safely and never shown again.',
    action: 'Connect',
    busy: 'Checking the key with Mailchimp …',
    cleaned: 'Spaces, line breaks and quotation marks around the key were removed.',
    done: (account: string) => `Connected to the Mailchimp account ${account}.`,
  },
  errors: {
    empty: 'Paste your Mailchimp API key.',
    form: 'This is not a Mailchimp API key. A key has 32 characters, a hyphen and the server prefix, such as us21.',
    byCode: {
      'key-rejected': 'Mailchimp does not accept this key. It may be mistyped, expired or revoked: create a new one.',
      'account-deactivated': 'Mailchimp has deactivated this account. Log in to Mailchimp to see why.',
      'wrong-data-centre':
        'The ending of the key is wrong: the account is on another Mailchimp server. Copy the whole key again.',
      'key-not-permitted':
        'The user of this key may not manage audiences. Use a key of a user with the role Admin or Owner.',
    } as Readonly<Record<string, string>>,
  },
  failures: {
    anotherAccount: {
      words: 'This key belongs to another Mailchimp account.',
      fix: 'Disconnect first if you mean to change the account. The audience and its members stay in Mailchimp.',
    },
    tooMany: (wait: string) => ({
      words: 'Too many API keys were tried.',
      fix: wait === '' ? 'You can try again now.' : `You can try again in ${wait}.`,
    }),
    unknownDepartment: {
      words: 'PracBill does not know this department.',
      fix: 'Contact your administrator.',
    },
  },
  replace: {
    open: 'Replace key',
    title: 'Replace the API key',
    intro: 'The new key must belong to the same Mailchimp account. Syncs go on with it at once.',
    action: 'Replace key',
    done: 'The API key has been replaced.',
  },
  disconnect: {
    open: 'Disconnect',
    title: 'Disconnect Mailchimp?',
    body: 'Syncs stop and the API key is removed. Your Mailchimp audience and its members stay, and so do your segments and the Sync Logs. You can connect again at any time.',
    yes: 'Disconnect',
    no: 'Stay connected',
    done: 'Mailchimp has been disconnected. The audience and its members stay in Mailchimp.',
  },
};
