// Starting a sync, from more than one panel.

import type { Client } from './client.ts';
import type { Run } from './types.ts';

export function startSync(client: Client, department_id: string, type: Run['type'], dry_run: boolean): Promise<Run> {
  const body = { type: type === 'full' ? ('full' as const) : ('incremental' as const), dry_run };
  return client.ask((calls) =>
    calls.POST('/departments/{department_id}/syncs', { params: { path: { department_id } }, body }),
  );
}
