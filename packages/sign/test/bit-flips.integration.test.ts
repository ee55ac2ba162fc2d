import { canonicalJson } from '@lkt/core';
import { assert, asyncProperty, boolean, nat } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectFromStore } from '../src/referrers/collect-signatures.ts';
import type {
  CollectedSignatures,
  UnverifiedSignature,
} from '../src/referrers/collected-signatures.ts';
import { signImage } from '../src/signing/sign-images.ts';
import type { Verification } from '../src/verify/verification.ts';
import { verifyImage } from '../src/verify/verify-image.ts';
import { keyless, newKey, createFixture, sigstore } from './support.ts';

type Path = readonly (string | number)[];

/** Returns the paths of all strings and numbers in a document. */
function leaves(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, item]) =>
    leaves(item, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}

function branches(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inside = Object.entries(value).flatMap(([key, item]) =>
    branches(item, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return [path, ...inside];
}

function changed(document: unknown, path: Path, change: (value: unknown) => unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return change(document);
  if (Array.isArray(document)) {
    const items = document.map((item, index) =>
      index === key ? changed(item, rest, change) : (item as unknown),
    );
    return items.filter((item) => item !== undefined);
  }
  const object = document as Record<string, unknown>;
  return { ...object, [key]: changed(object[key], rest, change) };
}

function flipped(text: string, at: number, bit: number): string {
  const bytes = Buffer.from(text);
  const index = at % bytes.length;
  bytes[index] = (bytes[index] ?? 0) ^ (1 << (bit % 7));
  return bytes.toString('latin1');
}

/**
 * Flips one bit of a string or number; with `inside`, of the bytes that a base64 string encodes.
 */
function flip(at: number, bit: number, inside: boolean): (value: unknown) => unknown {
  return (value) => {
    if (typeof value === 'number') return value ^ (1 << (bit % 7));
    if (typeof value !== 'string' || value === '') return 'x';
    const content = Buffer.from(value, 'base64');
    if (!inside || content.toString('base64') !== value) return flipped(value, at, bit);
    const index = at % content.length;
    content[index] = (content[index] ?? 0) ^ (1 << bit);
    return content.toString('base64');
  };
}

interface Signed {
  readonly item: UnverifiedSignature;
  readonly verify: (item: UnverifiedSignature) => Promise<Verification>;
}

async function signed(kind: 'bundle' | 'signature', by: 'identity' | 'key'): Promise<Signed> {
  const { store, subject, name } = await createFixture();
  const { signer, trust } =
    by === 'key' ? await newKey() : await keyless(await sigstore(), { tsa: true });
  await signImage(store, { subject, name, signer });
  const { items } = await collectFromStore(store, subject.digest);
  const item = items.find((one) => one.kind === kind);
  if (item === undefined) throw new Error('there is no such signature');
  const verify = async (one: UnverifiedSignature): Promise<Verification> => {
    const collected: CollectedSignatures = { items: [one], unreadable: [] };
    return verifyImage({ subject: subject.digest, collected, trust });
  };
  expect((await verify(item)).rejections).toEqual([]);
  return { item, verify };
}

/**
 * For timestamps, whose wrappers are unsigned, and for optional fields, which a third party can
 * remove: the signature must be rejected or say the same.
 */
async function expectRejectedOrSame(
  made: Signed,
  item: UnverifiedSignature,
  what: unknown,
): Promise<void> {
  const [before, after] = [await made.verify(made.item), await made.verify(item)];
  for (const { time: _time, logIndex: _index, ...rest } of after.signatures)
    expect(before.signatures[0], JSON.stringify(what)).toMatchObject(rest);
}

function isTimestamp(path: Path): boolean {
  return ['signedTimestamp', 'SignedRFC3161Timestamp'].includes(String(path.at(-1)));
}

/** Fields that a bundle may lack, because the rest proves as much. */
const OPTIONAL = /publicKey\.hint$|timestampVerificationData|inclusionPromise/;

async function expectRejected(
  { verify }: Signed,
  item: UnverifiedSignature,
  what: unknown,
): Promise<void> {
  const { signatures, rejections } = await verify(item);
  expect(signatures, `accepted with ${JSON.stringify(what)}`).toEqual([]);
  expect(rejections[0]?.reason, JSON.stringify(what)).toMatch(/\w+ \w+/);
}

describe.each(['key', 'identity'] as const)('a bundle signed by a(n) %s', (by) => {
  it('is rejected when any bit of any field is flipped', async () => {
    const made = await signed('bundle', by);
    const document: unknown = JSON.parse(made.item.bytes.toString());
    const paths = leaves(document);
    await assert(
      asyncProperty(nat({ max: 100_000 }), nat({ max: 7 }), boolean(), async (at, bit, inside) => {
        for (const path of paths) {
          const other = changed(document, path, flip(at, bit, inside));
          if (canonicalJson(other) === canonicalJson(document)) continue;
          const bytes = Buffer.from(JSON.stringify(other));
          const item = { ...made.item, bytes };
          const expectation = isTimestamp(path) ? expectRejectedOrSame : expectRejected;
          await expectation(made, item, { path, at, bit, inside });
        }
      }),
      { numRuns: 8 },
    );
  });

  it('is rejected when a field is missing', async () => {
    const made = await signed('bundle', by);
    const document: unknown = JSON.parse(made.item.bytes.toString());
    for (const path of branches(document)) {
      if (path.length === 0) continue;
      const other = changed(document, path, () => undefined);
      const bytes = Buffer.from(JSON.stringify(other));
      const isOptional =
        OPTIONAL.test(path.join('.')) || (by === 'key' && path.at(-1) === 'tlogEntries');
      const expectation = isOptional ? expectRejectedOrSame : expectRejected;
      await expectation(made, { ...made.item, bytes }, { path });
    }
  });
});

describe.each(['key', 'identity'] as const)("a signature in cosign 2's form by a(n) %s", (by) => {
  it('is rejected when any bit of any part is flipped', async () => {
    const made = await signed('signature', by);
    if (made.item.kind === 'bundle') throw new Error('unexpected bundle');
    const { annotations, bytes } = made.item;
    const parts = Object.fromEntries(
      Object.entries(annotations).map(([key, text]) => [
        key,
        text.startsWith('{') ? (JSON.parse(text) as object) : text,
      ]),
    );
    const checked = leaves(parts).filter(([key]) => key !== 'dev.sigstore.cosign/chain');
    await assert(
      asyncProperty(nat({ max: 100_000 }), nat({ max: 7 }), async (at, bit) => {
        for (const path of checked) {
          const other = changed(parts, path, flip(at, bit, true)) as Record<string, unknown>;
          const texts = Object.fromEntries(
            Object.entries(other).map(([key, value]) => [
              key,
              typeof value === 'string' ? value : JSON.stringify(value),
            ]),
          );
          const item = { ...made.item, annotations: texts } as UnverifiedSignature;
          const expectation = isTimestamp(path) ? expectRejectedOrSame : expectRejected;
          await expectation(made, item, { path, at, bit });
        }
        const payload = Buffer.from(bytes);
        payload[at % payload.length] = (payload[at % payload.length] ?? 0) ^ (1 << bit);
        await expectRejected(made, { ...made.item, bytes: payload }, { payload: at, bit });
      }),
      { numRuns: 8 },
    );
  });
});
