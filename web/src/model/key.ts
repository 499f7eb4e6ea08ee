// An API key as people paste it: with spaces, line breaks, quotation marks or signs that nobody sees.

export interface CleanedKey {
  readonly key: string;
  /** Whether anything was taken away, which the form says. */
  readonly wasCleaned: boolean;
}

const AROUND_A_KEY = /[\s\u200b-\u200f\u2028-\u202e\u2060\ufeff"'`“”‘’]+/gu;
const FORM = /^[0-9a-f]{32}-[a-z]{2,3}[0-9]{1,3}$/;

export function cleanKey(pasted: string): CleanedKey {
  const key = pasted.replace(AROUND_A_KEY, '');
  return { key, wasCleaned: key !== pasted };
}

/** Whether it looks like a key at all; whether it is one only Mailchimp knows. */
export function looksLikeKey(key: string): boolean {
  return FORM.test(key);
}
