import { createPublicKey, ECDH } from 'node:crypto';

/** The key ids of roles, by a name or in a list. */
type Roles = Readonly<Record<string, { readonly keyids?: unknown } | null>>;

/** A signed document of TUF, as far as its keys and signatures go. */
interface Metadata {
  readonly signed?: {
    readonly keys?: object | null;
    readonly roles?: Roles | null;
    readonly delegations?: { readonly keys?: object | null; readonly roles?: Roles | null } | null;
  } | null;
  readonly signatures?: unknown;
}

/**
 * Finds signatures by one key under several ids of a role, which the library counts as several
 * signers. Roots of Sigstore's public instance listed keys under two ids.
 */
export class SignerKeys {
  /** The keys that documents so far list under an id. */
  readonly #keys = new Map<string, Set<string>>();
  /** Key ids of each role of the newest root, and of delegated roles. */
  #roles: readonly (readonly string[])[] = [];
  /** Key ids of the newest root. */
  #rootIds: readonly string[] = [];

  /**
   * Returns a root without further signatures of one key, for its predecessor and for itself: both
   * may have other ids for it.
   * @throws SyntaxError if it is not JSON
   */
  root(bytes: Buffer): Buffer {
    const document = this.#read(bytes);
    const { roles } = document?.signed ?? {};
    const [before, own] = [this.#rootIds, idsOf(roles?.['root'])];
    this.#rootIds = own;
    this.#roles = Object.values(roles ?? {}).map(idsOf);
    const ids = signersOf(document);
    const kept = new Set(ids);
    for (const same of this.#groups(ids)) {
      const both = same.find((id) => before.includes(id) && own.includes(id));
      const first = [before, own].map((list) => same.find((id) => list.includes(id)));
      for (const id of same)
        if (both === undefined ? !first.includes(id) : id !== both) kept.delete(id);
    }
    if (kept.size === ids.length || document === null) return bytes;
    const signatures = (document.signatures as readonly { readonly keyid: string }[]).filter(
      ({ keyid }) => kept.has(keyid),
    );
    return Buffer.from(JSON.stringify({ ...document, signatures }));
  }

  /**
   * Requires a single signature of each key for a role. Such a document stays as it is: another one
   * may have its digest.
   * @throws Error if a key has more; SyntaxError if it is not JSON
   */
  require(bytes: Buffer): void {
    const document = this.#read(bytes);
    const roles = Object.values(document?.signed?.delegations?.roles ?? {});
    this.#roles = [...this.#roles, ...roles.map(idsOf)];
    const ids = signersOf(document);
    for (const same of this.#groups(ids))
      if (this.#roles.some((role) => same.filter((id) => role.includes(id)).length > 1))
        throw new Error('metadata has two signatures of one key');
  }

  /** Parses a document, and remembers the keys that it lists. */
  #read(bytes: Buffer): Metadata | null {
    const document = JSON.parse(bytes.toString()) as Metadata | null;
    const { keys, delegations } = document?.signed ?? {};
    for (const listed of [keys, delegations?.keys])
      for (const [id, key] of Object.entries(listed ?? {})) {
        const text = keyText(key);
        if (text === undefined) continue;
        const texts = this.#keys.get(id) ?? new Set();
        this.#keys.set(id, texts.add(text));
      }
    return document;
  }

  /** Returns the ids of each key that has several of these. */
  #groups(ids: readonly string[]): readonly (readonly string[])[] {
    const byKey = new Map<string, string[]>();
    for (const id of new Set(ids))
      for (const text of this.#keys.get(id) ?? [])
        byKey.set(text, [...(byKey.get(text) ?? []), id]);
    return [...byKey.values()].filter((same) => same.length > 1);
  }
}

function idsOf(role: { readonly keyids?: unknown } | null | undefined): readonly string[] {
  const ids = role?.keyids;
  return Array.isArray(ids) ? ids.map(String) : [];
}

function signersOf(document: Metadata | null): readonly string[] {
  const signatures = document?.signatures;
  if (!Array.isArray(signatures)) return [];
  return (signatures as readonly ({ readonly keyid?: unknown } | null)[]).map((one) =>
    String(one?.keyid),
  );
}

/** Returns a text that is equal for equal keys: TUF has keys in PEM, and as hexadecimal points. */
function keyText(key: unknown): string | undefined {
  const text = (key as { keyval?: { public?: unknown } } | null)?.keyval?.public;
  if (typeof text !== 'string') return undefined;
  try {
    if (text.includes('-----BEGIN')) {
      const { x = '', y = '', n = '' } = createPublicKey(text).export({ format: 'jwk' });
      return [x, y, n].map((part) => Buffer.from(part, 'base64url').toString('hex')).join('');
    }
    const bytes = Buffer.from(text, 'hex');
    // Ed25519 has 32 bytes; a point of P-256 has a byte for its form before them.
    if (bytes.length <= 32) return bytes.toString('hex');
    const point = ECDH.convertKey(bytes, 'prime256v1', undefined, undefined, 'uncompressed');
    return (point as Buffer).subarray(1).toString('hex');
  } catch {
    return text;
  }
}
