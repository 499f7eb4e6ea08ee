// The rules of a segment as somebody edits them, and in words.

import type { SegmentField, SegmentFields } from '../api/types.ts';

export interface Rule {
  readonly field: string;
  readonly operator: string;
  readonly value: string;
}

type Sent = string | number | null;

export function fieldOf(fields: SegmentFields, rule: Rule): SegmentField | undefined {
  return fields.fields.find((one) => one.field === rule.field);
}

export function valueType(fields: SegmentFields, rule: Rule): string {
  return fieldOf(fields, rule)?.operators.find((one) => one.operator === rule.operator)?.value_type ?? 'text';
}

export function firstRule(fields: SegmentFields): Rule {
  const field = fields.fields[0];
  return { field: field?.field ?? '', operator: field?.operators[0]?.operator ?? '', value: '' };
}

/** Another field: the operator stays where the field has it, the value where its type stays. */
export function withField(fields: SegmentFields, rule: Rule, name: string): Rule {
  const field = fields.fields.find((one) => one.field === name);
  const kept = field?.operators.some((one) => one.operator === rule.operator);
  const operator = kept ? rule.operator : (field?.operators[0]?.operator ?? '');
  const next = { field: name, operator, value: rule.value };
  return valueType(fields, next) === valueType(fields, rule) ? next : { ...next, value: '' };
}

export function withOperator(rule: Rule, operator: string): Rule {
  return { ...rule, operator };
}

/** A rule as the API takes it: no value where the operator wants none, a number where it wants one. */
export function toSend(fields: SegmentFields, rule: Rule): { field: string; operator: string; value: Sent } {
  const type = valueType(fields, rule);
  const text = rule.value.trim();
  const isWhole = type === 'whole_number' && /^\d+$/.test(text);
  return {
    field: rule.field,
    operator: rule.operator,
    value: type === 'none' ? null : isWhole ? Number(text) : rule.value,
  };
}

export function fromAnswer(rule: { field: string; operator: string; value?: Sent }): Rule {
  return { field: rule.field, operator: rule.operator, value: rule.value == null ? '' : String(rule.value) };
}

/** "State Equals VIC": with the guide's names of fields and operators. */
export function inWords(fields: SegmentFields | undefined, rule: Rule): string {
  const field = fields && fieldOf(fields, rule);
  const operator = field?.operators.find((one) => one.operator === rule.operator);
  const shown = field?.choices.find((one) => one.value === rule.value)?.label ?? rule.value;
  return [field?.label ?? rule.field, operator?.label ?? rule.operator, shown && `"${shown}"`]
    .filter(Boolean)
    .join(' ');
}

/** Whether every rule has what it needs, so that a preview makes sense. */
export function areComplete(fields: SegmentFields, rules: readonly Rule[]): boolean {
  return rules.every((rule) => valueType(fields, rule) === 'none' || rule.value.trim() !== '');
}
