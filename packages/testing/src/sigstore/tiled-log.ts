import { createHash, type KeyObject, sign } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { leafHash, MerkleTree } from './merkle-tree.ts';

interface Verifier {
  readonly keyDetails: string;
  readonly publicKey?: { readonly rawBytes: string };
  readonly x509Certificate?: { readonly rawBytes: string };
}

interface CreateEntryRequest {
  readonly hashedRekordRequestV002?: {
    readonly digest: string;
    readonly signature: { readonly content: string; readonly verifier: Verifier };
  };
}

/** A transparency log like Rekor 2 (https://github.com/sigstore/rekor-tiles). */
export class TiledLog {
  readonly #key: KeyObject;
  readonly #origin: string;
  readonly #tree = new MerkleTree();
  /** Key ID of the checkpoints (c2sp.org/signed-note), of which they have the first four bytes. */
  readonly id: Buffer;

  /**
   * @param keys of Ed25519
   * @param host origin of the checkpoints
   */
  constructor(keys: { publicKey: KeyObject; privateKey: KeyObject }, host: string) {
    this.#key = keys.privateKey;
    this.#origin = host;
    const raw = Buffer.from(keys.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    this.id = createHash('sha256').update(`${host}\n\u0001`).update(raw).digest();
    this.#tree.add(leafHash(Buffer.from('the first entry')));
  }

  get size(): number {
    return this.#tree.size;
  }

  /**
   * Adds an entry, and returns it as a TransparencyLogEntry. Does not verify the signature, because
   * Node cannot verify one over a digest.
   * @throws Error for anything but a hashedrekord
   */
  add(request: unknown): object {
    const { hashedRekordRequestV002: proposed } = request as CreateEntryRequest;
    if (proposed === undefined) throw new Error('invalid type, must be hashedrekord');
    const { digest, signature } = proposed;
    const data = { algorithm: 'SHA2_256', digest };
    const spec = { hashedRekordV002: { data, signature } };
    const body = canonicalJson({ apiVersion: '0.0.2', kind: 'hashedrekord', spec });
    const index = this.#tree.add(leafHash(Buffer.from(body)));
    const root = this.#tree.root();
    return {
      logIndex: String(index),
      logId: { keyId: this.id.toString('base64') },
      kindVersion: { kind: 'hashedrekord', version: '0.0.2' },
      integratedTime: '0',
      inclusionPromise: null,
      inclusionProof: {
        logIndex: String(index),
        rootHash: root.toString('base64'),
        treeSize: String(this.#tree.size),
        hashes: this.#tree.proof(index).map((hash) => hash.toString('base64')),
        checkpoint: { envelope: this.#checkpoint(root) },
      },
      canonicalizedBody: Buffer.from(body).toString('base64'),
    };
  }

  #checkpoint(root: Buffer): string {
    const note = `${this.#origin}\n${this.#tree.size}\n${root.toString('base64')}\n`;
    const signature = sign(null, Buffer.from(note), this.#key);
    const signed = Buffer.concat([this.id.subarray(0, 4), signature]).toString('base64');
    return `${note}\n— ${this.#origin} ${signed}\n`;
  }
}
