import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { canonicalEntry } from './log-entry.ts';
import { leafHash, MerkleTree } from './merkle-tree.ts';

interface LogEntry {
  readonly uuid: string;
  readonly body: string;
  readonly integratedTime: number;
  readonly signedEntryTimestamp: string;
}

/** A transparency log like Rekor 1. */
export class TransparencyLog {
  readonly #key: KeyObject;
  readonly #id: Buffer;
  readonly #origin: string;
  readonly #tree = new MerkleTree();
  readonly #entries: LogEntry[] = [];
  readonly treeId: bigint = BigInt(`0x${randomBytes(6).toString('hex')}`);

  /** @param host origin of the checkpoints */
  constructor(keys: { publicKey: KeyObject; privateKey: KeyObject }, host: string) {
    this.#key = keys.privateKey;
    const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
    this.#id = createHash('sha256').update(spki).digest();
    this.#origin = host;
  }

  get size(): number {
    return this.#tree.size;
  }

  /**
   * Adds an entry, unless the log has it.
   * @throws Error for an invalid proposal
   */
  add(proposed: unknown): { index: number; uuid: string; isNew: boolean } {
    return this.append(canonicalEntry(proposed as Parameters<typeof canonicalEntry>[0]));
  }

  /** Adds a body as it is, unless the log has it. */
  append(body: Buffer): { index: number; uuid: string; isNew: boolean } {
    const leaf = leafHash(body);
    const uuid = `${this.treeId.toString(16).padStart(16, '0')}${leaf.toString('hex')}`;
    const known = this.#entries.findIndex((entry) => entry.uuid === uuid);
    if (known !== -1) return { index: known, uuid, isNew: false };
    const integratedTime = Math.floor(Date.now() / 1000);
    const index = this.#tree.add(leaf);
    const text = body.toString('base64');
    const logID = this.#id.toString('hex');
    const promise = canonicalJson({ body: text, integratedTime, logID, logIndex: index });
    const signedEntryTimestamp = sign('sha256', Buffer.from(promise), this.#key).toString('base64');
    this.#entries.push({ uuid, body: text, integratedTime, signedEntryTimestamp });
    return { index, uuid, isNew: true };
  }

  /** Returns the index of an entry by its UUID, with or without the tree id; otherwise -1. */
  find(uuid: string): number {
    return this.#entries.findIndex((entry) => entry.uuid.endsWith(uuid.slice(-64)));
  }

  /** Returns an entry as in the API, with an inclusion proof for the current tree. */
  view(index: number): object | undefined {
    const entry = this.#entries[index];
    if (entry === undefined) return undefined;
    const { uuid, body, integratedTime, signedEntryTimestamp } = entry;
    const inclusionProof = {
      logIndex: index,
      treeSize: this.#tree.size,
      rootHash: this.#tree.root().toString('hex'),
      hashes: this.#tree.proof(index).map((hash) => hash.toString('hex')),
      checkpoint: this.#checkpoint(),
    };
    const verification = { inclusionProof, signedEntryTimestamp };
    const logID = this.#id.toString('hex');
    return { [uuid]: { body, integratedTime, logID, logIndex: index, verification } };
  }

  state(): object {
    return {
      rootHash: this.#tree.root().toString('hex'),
      treeSize: this.#tree.size,
      signedTreeHead: this.#checkpoint(),
      treeID: String(this.treeId),
      inactiveShards: [],
    };
  }

  /** Returns the checkpoint, a signed note (c2sp.org/tlog-checkpoint). */
  #checkpoint(): string {
    const root = this.#tree.root().toString('base64');
    const note = `${this.#origin} - ${this.treeId}\n${this.#tree.size}\n${root}\n`;
    const signature = sign('sha256', Buffer.from(note), this.#key);
    const signed = Buffer.concat([this.#id.subarray(0, 4), signature]).toString('base64');
    return `${note}\n— ${this.#origin} ${signed}\n`;
  }
}
