// The form of a new audience: what is wrong with it as one types, and what is sent.

import type { Failure } from '../api/failure.ts';
import type { NewAudience } from '../api/types.ts';

export interface NewAudienceForm {
  name: string;
  from_name: string;
  from_email: string;
  company: string;
  'address.line1': string;
  'address.city': string;
  'address.state': string;
  'address.postcode': string;
  'address.country': string;
  permission_reminder: string;
}

export type FormError = 'required' | 'notAnEmail' | 'notACountry';

/** What is wrong with which field. The service looks again, more closely. */
export function fieldErrors(form: NewAudienceForm): Partial<Record<keyof NewAudienceForm, FormError>> {
  const errors: Partial<Record<keyof NewAudienceForm, FormError>> = {};
  for (const name of Object.keys(form) as (keyof NewAudienceForm)[]) {
    if (name !== 'address.state' && form[name].trim() === '') errors[name] = 'required';
  }
  const email = form.from_email.trim();
  if (email !== '' && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email)) errors.from_email = 'notAnEmail';
  const country = form['address.country'].trim();
  if (country !== '' && !/^[a-z]{2}$/i.test(country)) errors['address.country'] = 'notACountry';
  return errors;
}

export function newAudience(form: NewAudienceForm): NewAudience {
  return {
    name: form.name.trim(),
    from_name: form.from_name.trim(),
    from_email: form.from_email.trim(),
    company: form.company.trim(),
    address: {
      line1: form['address.line1'].trim(),
      city: form['address.city'].trim(),
      state: form['address.state'].trim(),
      postcode: form['address.postcode'].trim(),
      country: form['address.country'].trim().toUpperCase(),
    },
    permission_reminder: form.permission_reminder.trim(),
  };
}

/** Whether an attempt that failed may have made the audience all the same: then it goes on under its own key. */
export function mayHaveHappened({ status, code }: Pick<Failure, 'status' | 'code'>): boolean {
  return status === 0 || status >= 500 || code === 'still-under-way';
}
