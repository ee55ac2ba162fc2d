import { LktError, type YamlValue } from '@lkt/core';
import { familiarReference, parseReference } from '@lkt/oci';
import { type ImagePattern, parseImagePattern } from '@lkt/sign';
import { boolean, integerIn, optional, required } from '../config/fields.ts';

/** `trust` of an image config, or a `trust.yml`, as it is written: files that it names have not been read. */
export interface TrustSettings {
  readonly required: readonly ImagePattern[];
  readonly unsigned: readonly ImagePattern[];
  readonly rules: readonly RuleSettings[];
  readonly trustedRoot?: YamlValue;
  readonly at: YamlValue;
}

interface RuleSettings {
  readonly images: readonly ImagePattern[];
  readonly signers?: SignerSettings;
  readonly rebuilders?: SignerSettings;
  readonly at: YamlValue;
}

export interface SignerSettings {
  readonly threshold: number;
  readonly keys: readonly YamlValue[];
  readonly identities: readonly IdentitySettings[];
  readonly at: YamlValue;
}

interface IdentitySettings {
  readonly issuer: string;
  readonly subject: string;
  readonly at: YamlValue;
}

const KEYS = ['required', 'signers', 'unsigned', 'trustedRoot', 'image', 'org'] as const;
const SIGNERS = ['threshold', 'keys', 'identities'] as const;
const MAX_THRESHOLD = 1000;

/** @throws LktError CONFIG_INVALID with line and column */
export function parseTrust(value: YamlValue): TrustSettings {
  const fields = value.fields(KEYS);
  const all = optional(fields.required, boolean) === true ? [parseImagePattern('**')] : [];
  const images = optional(fields.image, (list) => filled(list).map(linuxkitImage)) ?? [];
  const organisations = optional(fields.org, (list) => filled(list).map(linuxkitOrg)) ?? [];
  const { trustedRoot } = fields;
  return {
    required: [...all, ...images, ...organisations],
    unsigned: optional(fields.unsigned, patterns) ?? [],
    rules: optional(fields.signers, (list) => filled(list).map(parseRule)) ?? [],
    ...(trustedRoot === undefined ? {} : { trustedRoot }),
    at: value,
  };
}

function parseRule(item: YamlValue): RuleSettings {
  const fields = item.fields(['images', ...SIGNERS, 'rebuilders']);
  const images = patterns(required(item, fields.images, 'images'));
  const hasSigners = [fields.keys, fields.identities].some((some) => some !== undefined);
  if (!hasSigners && fields.rebuilders === undefined)
    throw item.error('nobody is named who signs', { fix: 'add keys, identities or rebuilders' });
  if (!hasSigners && fields.threshold !== undefined)
    throw fields.threshold.error('there are no keys and no identities to count');
  return {
    images,
    ...(hasSigners ? { signers: parseSigners(item, fields) } : {}),
    ...(fields.rebuilders === undefined
      ? {}
      : { rebuilders: parseSigners(fields.rebuilders, fields.rebuilders.fields(SIGNERS)) }),
    at: item,
  };
}

function parseSigners(
  at: YamlValue,
  fields: Partial<Record<(typeof SIGNERS)[number], YamlValue>>,
): SignerSettings {
  const keys = optional(fields.keys, filled) ?? [];
  for (const key of keys) checkKey(key);
  const identities = optional(fields.identities, (list) => filled(list).map(parseIdentity)) ?? [];
  if (keys.length + identities.length === 0) throw at.error('there are no keys and no identities');
  const threshold = optional(fields.threshold, integerIn(1, MAX_THRESHOLD)) ?? 1;
  return { threshold, keys, identities, at: fields.threshold ?? at };
}

function checkKey(value: YamlValue): void {
  const text = value.string();
  if (text === '') throw value.error('the name of a key is empty');
  if (text.startsWith('env://'))
    throw value.error('a policy does not take keys from the environment', {
      fix: 'name a file, or write the key itself in PEM form',
    });
}

function parseIdentity(item: YamlValue): IdentitySettings {
  const fields = item.fields(['issuer', 'subject']);
  const issuer = exact(required(item, fields.issuer, 'issuer'));
  const subject = exact(required(item, fields.subject, 'subject'));
  return { issuer, subject, at: item };
}

/** Who is trusted is said in full: a pattern that was meant to be one could fit more than was thought of. */
function exact(value: YamlValue): string {
  const text = value.string();
  if (text === '' || text.trim() !== text)
    throw value.error('it is empty, or has blanks around it');
  if (text.includes('*'))
    throw value.error('identities are compared as they are, and * stands for nothing', {
      fix: 'write out each identity',
    });
  return text;
}

function patterns(list: YamlValue): readonly ImagePattern[] {
  return filled(list).map((item) => located(item, () => parseImagePattern(item.string())));
}

/** A list with something in it: an empty one says nothing, which is hardly what is meant. */
function filled(list: YamlValue): readonly YamlValue[] {
  const items = list.list();
  if (items.length === 0) throw list.error('the list is empty');
  return items;
}

/** LinuxKit's `trust.image`: an image by name; its tag, if there is one, makes no difference. */
function linuxkitImage(item: YamlValue): ImagePattern {
  return located(item, () => {
    const { domain, path } = parseReference(item.string());
    return parseImagePattern(familiarReference({ domain, path }));
  });
}

/** LinuxKit's `trust.org`: all images of an organisation. */
function linuxkitOrg(item: YamlValue): ImagePattern {
  const text = item.string();
  if (text.includes('*')) throw item.error('* stands for nothing in the name of an organisation');
  return located(item, () => parseImagePattern(`${text}/**`));
}

function located<T>(item: YamlValue, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw item.error(error.message, {
      cause: error,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
    });
  }
}
