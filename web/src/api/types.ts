// Short names for the shapes of the API that panels speak of.

import type { components } from './schema.d.ts';

type Schemas = components['schemas'];

export type Connection = Schemas['ConnectionStatus'];
export type Finding = Schemas['Finding'];
export type Audience = Schemas['AudienceOverview'];
export type Settings = Schemas['SettingsView'];
export type Run = Schemas['RunView'];
export type Segment = Schemas['SegmentView'];
export type LogEntry = Schemas['LogEntryView'];
export type AudienceList = Schemas['AudienceList'];
export type NewAudience = Schemas['NewAudienceBody'];
export type SegmentFields = Schemas['SegmentFields'];
export type SegmentField = Schemas['SegmentField'];
export type SegmentPreview = Schemas['SegmentPreview'];
export type SegmentTemplate = Schemas['SegmentTemplate'];
/** Everything the page shows first, in one answer. */
export type PanelData = Schemas['Panel'];
