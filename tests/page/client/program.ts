// What somebody writes against the types generated from the service's description. It is compiled as it stands, so
// each line is an assertion: what must compile does, and what is marked with @ts-expect-error must not. Then it is run.

import createClient from 'openapi-fetch';
import type { components, paths } from './schema.d.ts';

type Schemas = components['schemas'];
declare const process: { readonly argv: readonly string[] };

const [api = '', department_id = '', token = ''] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: api, headers: { Authorization: `Bearer ${token}` } });
const params = { path: { department_id } };
const said: Record<string, unknown> = {};

// A body leaves out what has a default, and nothing else.
const started = await client.POST('/departments/{department_id}/syncs', { params, body: { type: 'full' } });
// @ts-expect-error: there is no such type of sync
const noSuchType: Schemas['StartSyncBody'] = { type: 'partial' };
// @ts-expect-error: a segment has rules
const noRules: Schemas['SegmentBody'] = { name: 'Everybody' };
said.started = started.data?.id;

// A problem tells its code, and with it what helps: here the run that is in the way.
const refused = await client.POST('/departments/{department_id}/syncs', { params, body: { type: 'full' } });
if (refused.error !== undefined) {
  const problem: Schemas['Problem'] = refused.error;
  switch (problem.type) {
    case 'urn:pracbill-mailchimp:problem:run-active':
      said.active = problem.run?.id;
      break;
    case 'urn:pracbill-mailchimp:problem:plan-limit-reached':
      said.audiences = problem.audiences?.map((audience) => audience.name);
      break;
    case 'urn:pracbill-mailchimp:problem:changed-meanwhile':
      said.version = problem.segment?.version;
      break;
    case 'urn:pracbill-mailchimp:problem:key-rejected':
      said.health = problem.health_code;
      break;
    // @ts-expect-error: no problem has this code
    case 'urn:pracbill-mailchimp:problem:moon-is-full':
      break;
    default:
      said.wait = problem.retry_after;
  }
}

// Rules of an answer may be sent back as they came: a template's to the preview, a segment's to its change.
const templates = await client.GET('/segment-templates', { params: { query: { department_id } } });
const rules = templates.data?.items[0]?.rules ?? [];
const preview = await client.POST('/departments/{department_id}/segments/preview', { params, body: { rules } });
said.previewed = preview.data?.total;
export function renamed(segment: Schemas['SegmentView'], name: string): Schemas['SegmentBody'] {
  return { name, rules: segment.rules };
}

// A path and a parameter that are none are found out before anything is sent.
// @ts-expect-error: there is no such path
void (() => client.GET('/departments/{department_id}/moon', { params }));
// @ts-expect-error: the department is missing
void (() => client.GET('/departments/{department_id}/panel', { params: { path: {} } }));

// Answers are no `any`.
const panel = await client.GET('/departments/{department_id}/panel', { params });
const access: 'read' | 'write' | undefined = panel.data?.access;
// @ts-expect-error: an access is a word
const number: number | undefined = panel.data?.access;
said.access = access;
said.unused = [noSuchType, noRules, number].length;

console.log(JSON.stringify(said));
