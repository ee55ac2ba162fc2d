import { generateKeyPairSync } from 'node:crypto';
import { type Digest, digestOf } from '@lkt/core';
import {
  alternativeNames,
  authorityExtensions,
  basicConstraints,
  der,
  ecKeys,
  extendedKeyUsage,
  extension,
  forge,
  type Forged,
  type Forgery,
  integer,
  keyUsage,
  leafExtensions,
  objectId,
  sequence,
  Usage,
} from '@lkt/testing/forgeries';
import { SIGNATURE_PREDICATE, statementAbout } from '../src/statement/statement.ts';
import { WORKFLOW } from './support.ts';

const ISSUER = 'https://issuer.example';
export const SIGNER: Readonly<Record<'issuer' | 'subject', string>> = {
  subject: WORKFLOW,
  issuer: ISSUER,
};
/** The image of the forged signatures. */
export const SUBJECT: Digest = digestOf('the image');
const PAYLOAD = JSON.stringify(
  statementAbout({ name: 'app', digest: SUBJECT }, SIGNATURE_PREDICATE, {}),
);
const FULCIO = '1.3.6.1.4.1.57264.1';
const leaf = leafExtensions(WORKFLOW, ISSUER);
const authority = authorityExtensions();
const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text));
const NULL = der(0x05);

/** A forged certificate. sigstore-go, which cosign uses, rejects it too, or there is a reason. */
export interface CertificateCase {
  readonly what: string;
  readonly forgery: Forgery;
  /** Why lkt rejects the signature. */
  readonly reason: RegExp;
  /** Why sigstore-go accepts it. */
  readonly accepted?: string;
}

/** Returns a forged signature of the image, with its trusted root. */
export function forgedFrom(forgery: Forgery): Forged {
  return forge({ ...SIGNER, payload: PAYLOAD }, forgery);
}

/** Returns constraints for names: a general name per base. */
function nameConstraints(tag: number, permitted: string, isCritical = true): Buffer {
  const tree = sequence(der(tag, Buffer.from(permitted)));
  return extension('2.5.29.30', sequence(der(0xa0, tree)), isCritical);
}

const withLeaf = (extensions: Readonly<Record<string, Buffer | undefined>>): Forgery => ({
  leaf: { extensions: { ...leaf, ...extensions } },
});
const withIntermediate = (extensions: Readonly<Record<string, Buffer | undefined>>): Forgery => ({
  intermediate: { extensions: { ...authority, ...extensions } },
});

const names = (...list: Parameters<typeof alternativeNames>[0]): Forgery =>
  withLeaf({ names: alternativeNames(list) });

/** The workflow with the highest bit of a letter set. */
const EIGHT_BITS = Buffer.from(WORKFLOW);
EIGHT_BITS[WORKFLOW.indexOf('lkt')] = 0x80 | 'l'.charCodeAt(0);

export const CERTIFICATES: readonly CertificateCase[] = [
  // Purposes.
  {
    what: 'for TLS servers',
    forgery: withLeaf({ purpose: extendedKeyUsage([Usage.server]) }),
    reason: /code signing/,
  },
  {
    what: 'for email and time stamps',
    forgery: withLeaf({ purpose: extendedKeyUsage([Usage.email, Usage.time]) }),
    reason: /code signing/,
  },
  {
    what: 'for no stated purpose',
    forgery: withLeaf({ purpose: undefined }),
    reason: /code signing/,
    accepted: 'Go takes a certificate without purposes for all of them',
  },
  {
    what: 'whose authority is for TLS servers',
    forgery: withIntermediate({ purpose: extendedKeyUsage([Usage.server]) }),
    reason: /code signing/,
  },
  {
    what: 'whose key is for encipherment',
    forgery: withLeaf({ usage: keyUsage(2) }),
    reason: /not for signatures/,
    accepted: 'Go does not read keyUsage of the signer',
  },
  {
    what: 'of an authority',
    forgery: withLeaf({ basic: basicConstraints(true) }),
    reason: /of an authority/,
    accepted: 'Go lets an authority sign as itself',
  },
  // Authorities.
  {
    what: 'whose issuer is no authority',
    forgery: withIntermediate({ basic: basicConstraints(false) }),
    reason: /trusted authority/,
  },
  {
    what: 'whose issuer states no basic constraints',
    forgery: withIntermediate({ basic: undefined }),
    reason: /trusted authority/,
  },
  {
    what: 'whose issuer may not sign certificates',
    forgery: withIntermediate({ usage: keyUsage(0) }),
    reason: /trusted authority/,
  },
  {
    what: 'below a root that is no authority',
    forgery: { root: { extensions: { basic: basicConstraints(false) } } },
    reason: /trusted authority/,
  },
  {
    what: 'below too many authorities',
    forgery: { root: { extensions: authorityExtensions(0) } },
    reason: /trusted authority/,
  },
  {
    what: 'below too many authorities of the intermediate one',
    forgery: { intermediate: { extensions: authorityExtensions(0) }, second: {} },
    reason: /trusted authority/,
  },
  {
    what: 'of an authority that had expired',
    forgery: { intermediate: { minutes: [-20, -10] } },
    reason: /trusted authority/,
  },
  {
    what: 'of an authority that is not yet valid',
    forgery: { intermediate: { minutes: [10, 20] } },
    reason: /trusted authority/,
  },
  {
    what: 'below a root that had expired',
    forgery: { root: { minutes: [-20, -10] } },
    reason: /trusted authority/,
  },
  {
    what: 'of an authority for other addresses',
    forgery: withIntermediate({ limit: nameConstraints(0x81, 'other.example') }),
    reason: /limits names/,
    accepted: 'Go compares only names of the constrained type',
  },
  {
    what: 'of an authority for other hosts',
    forgery: withIntermediate({ limit: nameConstraints(0x86, 'other.example') }),
    reason: /limits names/,
  },
  {
    what: 'of an authority for other hosts, not critical',
    forgery: withIntermediate({ limit: nameConstraints(0x86, 'other.example', false) }),
    reason: /limits names/,
  },
  {
    what: 'below a root for other hosts',
    forgery: {
      root: { extensions: { ...authority, limit: nameConstraints(0x86, 'other.example') } },
    },
    reason: /limits names/,
  },
  {
    what: 'of an authority with an unknown critical extension',
    forgery: withIntermediate({ unknown: extension('1.3.6.1.4.1.99999.1', NULL, true) }),
    reason: /critical extension 1\.3\.6\.1\.4\.1\.99999\.1/,
  },
  {
    what: 'of an authority with other policies required',
    forgery: withIntermediate({
      policy: extension('2.5.29.36', sequence(der(0x80, Buffer.of(0))), true),
    }),
    reason: /critical extension 2\.5\.29\.36/,
  },
  // Issuers.
  { what: 'that signs itself', forgery: { signedBy: 'itself' }, reason: /trusted authority/ },
  {
    what: 'that signs itself in the name of the authority',
    forgery: { signedBy: 'itself', leaf: { name: 'intermediate', extensions: leaf } },
    reason: /trusted authority/,
  },
  {
    what: 'that signs itself in the name of the root',
    forgery: {
      signedBy: 'itself',
      leaf: { name: 'root', issuerName: 'root', extensions: leaf },
    },
    reason: /trusted authority/,
  },
  {
    what: 'of a stranger in the name of the authority',
    forgery: { signedBy: 'stranger' },
    reason: /trusted authority/,
  },
  {
    what: 'of the root in the name of the authority',
    forgery: { signedBy: 'root' },
    reason: /trusted authority/,
  },
  {
    what: 'of an authority in the name of another one',
    forgery: { leaf: { name: '', issuerName: 'root', extensions: leaf } },
    reason: /trusted authority/,
  },
  // The form.
  {
    what: 'with an unknown critical extension',
    forgery: withLeaf({ unknown: extension('1.3.6.1.4.1.99999.1', NULL, true) }),
    reason: /critical extension 1\.3\.6\.1\.4\.1\.99999\.1/,
  },
  {
    what: 'with an extension twice',
    forgery: withLeaf({ again: extendedKeyUsage([Usage.code]) }),
    reason: /2\.5\.29\.37 twice/,
  },
  {
    what: 'with another algorithm outside the signed part',
    forgery: { leaf: { name: '', extensions: leaf, outerAlgorithm: '1.2.840.10045.4.3.3' } },
    reason: /\w/,
  },
  {
    what: 'with an unknown algorithm outside the signed part',
    forgery: { leaf: { name: '', extensions: leaf, outerAlgorithm: '1.2.3.4' } },
    reason: /algorithm/,
  },
  {
    what: 'signed with SHA-1',
    forgery: { leaf: { name: '', extensions: leaf, hash: 'sha1' } },
    reason: /\w/,
  },
  {
    what: 'with bytes after it',
    forgery: { certificate: (bytes) => Buffer.concat([bytes, Buffer.of(0)]) },
    reason: /trailing data/,
  },
  {
    what: 'with a longer encoding of its length',
    forgery: {
      certificate: (bytes) => Buffer.concat([Buffer.of(0x30, 0x83, 0), bytes.subarray(2)]),
    },
    reason: /certificate|parsed/,
  },
  ...['secp224r1', 'secp192k1', 'secp256k1'].map((curve) => ({
    what: `for a key on ${curve}`,
    forgery: { leaf: { name: '', extensions: leaf, keys: ecKeys(curve) } },
    reason: /unsupported curve/,
    ...(curve === 'secp224r1' ? { accepted: 'Go has P-224' } : {}),
  })),
  {
    what: 'for an RSA key of 1024 bits',
    forgery: {
      leaf: {
        name: '',
        extensions: leaf,
        keys: generateKeyPairSync('rsa', { modulusLength: 1024 }),
      },
    },
    reason: /1024 bits/,
    accepted: 'Go takes keys of 1024 bits',
  },
  // Names.
  { what: 'without names', forgery: withLeaf({ names: undefined }), reason: /no subject/ },
  { what: 'with an empty list of names', forgery: names(), reason: /name|subject|parsed/ },
  {
    what: 'with two names, the trusted one first',
    forgery: names(['uri', WORKFLOW], ['uri', 'https://evil.example/x']),
    reason: /more than one name/,
    accepted: 'it takes the first URI',
  },
  {
    what: 'with two names, the trusted one last',
    forgery: names(['uri', 'https://evil.example/x'], ['uri', WORKFLOW]),
    reason: /more than one name/,
  },
  {
    what: 'with an address before the trusted URI',
    forgery: names(['email', 'evil@evil.example'], ['uri', WORKFLOW]),
    reason: /more than one name/,
    accepted: 'it takes the first URI',
  },
  {
    what: 'with a host beside the trusted URI',
    forgery: names(['uri', WORKFLOW], ['dns', 'evil.example']),
    reason: /more than one name/,
    accepted: 'it takes the first URI',
  },
  {
    what: 'with the trusted URI as an address',
    forgery: names(['email', WORKFLOW]),
    reason: /not an address/,
    accepted: 'it compares texts only',
  },
  {
    what: 'with the trusted URI as a host',
    forgery: names(['dns', WORKFLOW]),
    reason: /no subject|name/,
  },
  {
    what: 'with a name that has eight bits where the trusted one has seven',
    forgery: names(['uri', EIGHT_BITS]),
    reason: /ASCII/,
  },
  {
    what: 'with a NUL after the trusted name',
    forgery: names(['uri', `${WORKFLOW}\0.evil.example`]),
    reason: /ASCII/,
  },
  {
    what: 'with a line break after the trusted name',
    forgery: names(['uri', `${WORKFLOW}\n`]),
    reason: /ASCII/,
  },
  {
    what: 'with a blank after the trusted name',
    forgery: names(['uri', `${WORKFLOW} `]),
    reason: /not trusted|ASCII/,
  },
  {
    what: 'with a letter of another script',
    forgery: names(['uri', WORKFLOW.replace('lkt', 'l\u043at')]),
    reason: /ASCII/,
  },
  {
    what: 'with the host in punycode',
    forgery: names(['uri', WORKFLOW.replace('github.example', 'xn--gthub-n2a.example')]),
    reason: /not trusted/,
  },
  {
    what: 'with other case',
    forgery: names(['uri', WORKFLOW.toUpperCase()]),
    reason: /not trusted/,
  },
  {
    what: 'with names twice',
    forgery: withLeaf({ again: alternativeNames([['uri', 'https://evil.example/x']]) }),
    reason: /twice/,
  },
  {
    what: 'with the name as common name only',
    forgery: { leaf: { name: WORKFLOW, extensions: { ...leaf, names: undefined } } },
    reason: /no subject/,
  },
  // Issuers of identities.
  {
    what: 'with two issuers that disagree, the trusted one in version 2',
    forgery: withLeaf({ issuer1: extension(`${FULCIO}.1`, Buffer.from('https://evil.example')) }),
    reason: /two issuers/,
    accepted: 'the last one counts',
  },
  {
    what: 'with two issuers that disagree, the trusted one in version 1',
    forgery: withLeaf({ issuer2: extension(`${FULCIO}.8`, utf8('https://evil.example')) }),
    reason: /two issuers/,
  },
  {
    what: 'without issuer',
    forgery: withLeaf({ issuer1: undefined, issuer2: undefined }),
    reason: /no issuer/,
  },
  {
    what: 'with the issuer of version 2 twice',
    forgery: withLeaf({ again: extension(`${FULCIO}.8`, utf8(ISSUER)) }),
    reason: /twice/,
  },
  {
    what: 'with a NUL in the issuer',
    forgery: withLeaf({
      issuer1: undefined,
      issuer2: extension(`${FULCIO}.8`, utf8(`${ISSUER}\0.evil.example`)),
    }),
    reason: /not trusted|issuer/,
  },
  {
    what: 'with an issuer as printable text',
    forgery: withLeaf({
      issuer1: undefined,
      issuer2: extension(`${FULCIO}.8`, der(0x13, Buffer.from(ISSUER))),
    }),
    reason: /UTF8String/,
    accepted: 'it takes any type of text',
  },
  {
    what: 'with an issuer that is a number',
    forgery: withLeaf({ issuer1: undefined, issuer2: extension(`${FULCIO}.8`, integer(7)) }),
    reason: /UTF8String/,
  },
  {
    what: 'with a critical issuer',
    forgery: withLeaf({ issuer2: extension(`${FULCIO}.8`, utf8(ISSUER), true) }),
    reason: /critical extension/,
  },
  // The log of certificates.
  { what: 'in no log of certificates', forgery: { promise: 'none' }, reason: /SCT/ },
  {
    what: 'in another log of certificates',
    forgery: { promise: 'of another log' },
    reason: /SCT/,
  },
  {
    what: 'with the promise for another certificate',
    forgery: { promise: 'of another certificate' },
    reason: /SCT/,
  },
  {
    what: 'with the promise for another issuer',
    forgery: { promise: 'of another issuer' },
    reason: /SCT/,
  },
  {
    what: 'with an empty list of promises',
    forgery: {
      promise: 'none',
      ...withLeaf({ list: extension('1.3.6.1.4.1.11129.2.4.2', der(0x04, Buffer.of(0, 0))) }),
    },
    reason: /SCT/,
  },
  {
    what: 'with a poisoned precertificate',
    forgery: withLeaf({ poison: extension('1.3.6.1.4.1.11129.2.4.3', NULL, true) }),
    reason: /critical extension/,
  },
];

/** Forged certificates that are good. */
export const GOOD_CERTIFICATES: readonly Pick<CertificateCase, 'forgery' | 'what'>[] = [
  { what: 'unchanged', forgery: {} },
  { what: 'below three authorities', forgery: { second: {} } },
  {
    what: 'of authorities for code signing',
    forgery: withIntermediate({ purpose: extendedKeyUsage([Usage.code]) }),
  },
  {
    what: 'of an authority for any purpose',
    forgery: withIntermediate({ purpose: extendedKeyUsage([Usage.any]) }),
  },
  {
    what: 'with an empty path below the issuer',
    forgery: withIntermediate(authorityExtensions(0)),
  },
  {
    what: 'with an unknown extension',
    forgery: withLeaf({ unknown: extension('1.3.6.1.4.1.99999.1', objectId('1.2.3')) }),
  },
  {
    what: 'with one issuer, of version 1',
    forgery: withLeaf({ issuer2: undefined }),
  },
  {
    what: 'for a key on P-384',
    forgery: { leaf: { name: '', extensions: leaf, keys: ecKeys('P-384') } },
  },
];
