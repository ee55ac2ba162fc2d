import {
  boolean,
  integer,
  list,
  LktError,
  optional,
  record,
  required,
  text,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { familiarReference, parseReference } from '@lkt/oci';
import type { TrustedClaims, TrustedIdentity } from '@lkt/sign';
// A config without signatures need not load the rest.
import { type ImagePattern, parseImagePattern } from '@lkt/sign/image-pattern';
import { parseRefPattern } from '@lkt/sign/ref-pattern';

/** `trust` of an image config, or a `trust.yml`, before the files that it names are read. */
export interface TrustSettings {
  readonly required: readonly ImagePattern[];
  /** LinuxKit's `image` and `org`, which name no signers. */
  readonly linuxkit: readonly LegacyPattern[];
  readonly unsigned: readonly ImagePattern[];
  readonly rules: readonly RuleSettings[];
  readonly trustedRoot?: YamlValue;
  readonly at: YamlValue;
}

/** An entry of LinuxKit's `trust`. */
interface LegacyPattern {
  readonly pattern: ImagePattern;
  /** As lkt writes it. */
  readonly text: string;
  readonly at: YamlValue;
}

interface RuleSettings {
  readonly images: readonly ImagePattern[];
  readonly bindRepository: boolean;
  readonly signers?: SignerSettings;
  readonly rebuilders?: SignerSettings;
  readonly at: YamlValue;
}

/** Signers of a `trust.yml`, of which `threshold` must have signed. */
export interface SignerSettings {
  readonly threshold: number;
  readonly keys: readonly YamlValue[];
  readonly identities: readonly IdentitySettings[];
  readonly at: YamlValue;
}

type IdentitySettings = TrustedIdentity & { readonly at: YamlValue };

const MAX_THRESHOLD = 1000;

/** A list with at least one item; an empty one is likely a mistake. */
function filled<T>(item: YamlType<T>): YamlType<readonly T[]> {
  return list(item, { isFilled: true });
}

const PATTERNS = filled(
  text().transform((pattern, item) => located(item, () => parseImagePattern(pattern))),
);

const KEY: YamlType<YamlValue> = text().transform((key, value) => {
  if (key === '') throw value.error('the name of a key is empty');
  if (key.startsWith('env://'))
    throw value.error('a policy does not take keys from the environment', {
      fix: 'name a file, or write the key in PEM form',
    });
  return value;
});

/** An exact name. A wildcard could match more identities than intended. */
const EXACT = text().transform((name, value) => {
  if (name === '' || name.trim() !== name)
    throw value.error('it is empty or has surrounding blanks');
  if (name.includes('*'))
    throw value.error('identities are compared literally, and * is not a wildcard', {
      fix: 'list each identity',
    });
  return name;
});

/** The URL of a repository or workflow, as certificates have it. */
const CLAIMED_URL = EXACT.transform((url, value) => {
  if (!URL.canParse(url) || !url.startsWith('https://') || url.endsWith('/'))
    throw value.error('it is not an https URL without a slash at its end', {
      fix: 'write it as the certificate states it: https://github.com/ORG/NAME',
    });
  return url;
});

const CLAIMS: YamlType<TrustedClaims> = record({
  repository: required(CLAIMED_URL, 'repository of the workflow: https://github.com/ORG/NAME'),
  workflow: optional(
    CLAIMED_URL.transform((url, value) => {
      if (url.includes('@refs/'))
        throw value.error('the workflow has a ref', { fix: 'move it to `ref`' });
      return url;
    }),
    'workflow file: https://github.com/ORG/NAME/.github/workflows/FILE',
  ),
  ref: optional(
    text().transform((ref, value) => located(value, () => parseRefPattern(ref))),
    'branch or tag: refs/tags/v*, where * matches text without a slash',
  ),
  environment: optional(EXACT, 'environment that the workflow deploys to'),
});

const IDENTITY: YamlType<IdentitySettings> = record({
  issuer: required(EXACT, 'issuer of the OpenID token'),
  subject: optional(EXACT, 'subject of the certificate'),
  claims: optional(CLAIMS, 'claims in the certificate about a workflow'),
}).transform((identity, at) => {
  if (identity.subject === undefined && identity.claims === undefined)
    throw at.error('the identity has neither a subject nor claims');
  return { ...identity, at };
});

const SIGNER_FIELDS = {
  threshold: optional(
    integer(1, MAX_THRESHOLD).transform((count, at) => ({ count, at })),
    'number of required signers; default: 1',
  ),
  keys: optional(filled(KEY), 'public keys: files, or PEM text'),
  identities: optional(filled(IDENTITY), 'Sigstore identities of people and workflows'),
};

const SIGNERS: YamlType<SignerSettings> = record(SIGNER_FIELDS).transform(signersOf);

const RULE: YamlType<RuleSettings> = record({
  images: required(PATTERNS, 'image patterns: lkt/*, registry.example/**'),
  ...SIGNER_FIELDS,
  bindRepository: optional(
    boolean.transform((isBound, at) => ({ isBound, at })),
    'require signatures for the repository that the image is taken from',
  ),
  rebuilders: optional(SIGNERS, 'signers who must have rebuilt the image with the same result'),
}).transform(({ images, rebuilders, bindRepository, ...signers }, at) => {
  const hasSigners = ['keys', 'identities'].some((key) => at.entries().has(key));
  if (!hasSigners && rebuilders === undefined)
    throw at.error('the rule names no signers', { fix: 'add keys, identities or rebuilders' });
  if (!hasSigners && signers.threshold !== undefined)
    throw signers.threshold.at.error('a threshold needs keys or identities to count');
  if (!hasSigners && bindRepository !== undefined)
    throw bindRepository.at.error('it needs keys or identities to apply to');
  return {
    images,
    bindRepository: bindRepository?.isBound ?? false,
    signers: hasSigners ? signersOf(signers, at) : undefined,
    rebuilders,
    at,
  };
});

/** `trust` of an image config, and a whole `trust.yml`. */
export const TRUST: YamlType<TrustSettings> = record({
  required: optional(boolean, 'require signatures for all images'),
  signers: optional(filled(RULE), 'rules that say who must sign which images'),
  unsigned: optional(PATTERNS, 'images that need no signature'),
  trustedRoot: optional(
    text().transform((_name, value) => value),
    'trusted_root.json of a Sigstore instance; relative to the config',
  ),
  image: optional(
    filled(text().transform(linuxkitImage)),
    "LinuxKit's: images that must be signed",
  ),
  org: optional(
    filled(text().transform(linuxkitOrg)),
    "LinuxKit's: organisations whose images must be signed",
  ),
}).transform((trust, at) => ({
  required: trust.required === true ? [parseImagePattern('**')] : [],
  linuxkit: [...(trust.image ?? []), ...(trust.org ?? [])],
  unsigned: trust.unsigned ?? [],
  rules: trust.signers ?? [],
  trustedRoot: trust.trustedRoot,
  at,
}));

/** Reports whether a key is the name of a file rather than a PEM text. */
export function isFile(key: YamlValue): boolean {
  return !key.string().includes('-----BEGIN ');
}

/** @throws LktError CONFIG_INVALID with line and column */
export function parseTrust(value: YamlValue): TrustSettings {
  return TRUST.read(value);
}

function signersOf(
  {
    threshold,
    keys = [],
    identities = [],
  }: {
    readonly threshold?: { readonly count: number; readonly at: YamlValue };
    readonly keys?: readonly YamlValue[];
    readonly identities?: readonly IdentitySettings[];
  },
  at: YamlValue,
): SignerSettings {
  if (keys.length + identities.length === 0) throw at.error('there are no keys and no identities');
  return { threshold: threshold?.count ?? 1, keys, identities, at: threshold?.at ?? at };
}

/** LinuxKit's `trust.image`: an image by name; ignores the tag. */
function linuxkitImage(name: string, at: YamlValue): LegacyPattern {
  return located(at, () => {
    const { domain, path } = parseReference(name);
    return legacyPattern(familiarReference({ domain, path }), at);
  });
}

/** LinuxKit's `trust.org`: all images of an organisation. */
function linuxkitOrg(name: string, at: YamlValue): LegacyPattern {
  if (name.includes('*')) throw at.error('* is not a wildcard in the name of an organisation');
  return located(at, () => legacyPattern(`${name}/**`, at));
}

function legacyPattern(name: string, at: YamlValue): LegacyPattern {
  return { pattern: parseImagePattern(name), text: name, at };
}

function located<T>(item: YamlValue, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw errorOf(item, error);
  }
}

/** Returns an error at the position of a value; `cause` itself unless it is an LktError. */
export function errorOf(value: YamlValue, cause: unknown): unknown {
  if (!(cause instanceof LktError)) return cause;
  return value.error(cause.message, { cause, fix: cause.fix });
}
