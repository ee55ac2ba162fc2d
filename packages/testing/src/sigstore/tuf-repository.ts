import { createHash, generateKeyPairSync, type KeyPairKeyObjectResult, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { listen } from '../local-server.ts';
import { canonicalJson } from './canonical-json.ts';

type Role = 'root' | 'snapshot' | 'targets' | 'timestamp';

const ROLES: readonly Role[] = ['root', 'snapshot', 'targets', 'timestamp'];

/** A TUF repository (https://theupdateframework.github.io/specification/latest/) at an address. */
export interface TufRepository extends AsyncDisposable {
  readonly url: string;
  /** Files by their path below the address. */
  readonly files: Map<string, Buffer>;
  /** Paths of the requests. */
  readonly requests: readonly string[];
  /** Publishes metadata of the next version for the targets. */
  publish(targets: Readonly<Record<string, string>>, options?: PublishOptions): void;
  /** Publishes a root of the next version with a new key for all roles, signed by both keys. */
  rotate(): void;
  /** The first root, which a user gets from somewhere else. */
  readonly root: Buffer;
}

/** Options of `publish`. */
interface PublishOptions {
  readonly expires?: Date;
  /** Sign with the first key instead of the current one. */
  readonly withFirstKey?: boolean;
  /** Version of the metadata; default: the next. */
  readonly version?: number;
}

/** Starts a TUF repository on 127.0.0.1 without targets. */
export async function startTufRepository(): Promise<TufRepository> {
  const files = new Map<string, Buffer>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').slice(1);
    requests.push(path);
    const content = files.get(path);
    response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  const { port, [Symbol.asyncDispose]: close } = await listen(server);
  const firstKey = generateKeyPairSync('ed25519');
  let key = firstKey;
  let rootVersion = 1;
  let version = 0;
  const root = signed(rootDocument(rootVersion, key), key);
  files.set('1.root.json', root);
  return {
    url: `http://127.0.0.1:${port}`,
    files,
    requests,
    root,
    publish: (targets, { expires = inOneDay(), withFirstKey = false, ...options } = {}) => {
      version = options.version ?? version + 1;
      const by = withFirstKey ? firstKey : key;
      const listed: Record<string, object> = {};
      for (const [name, text] of Object.entries(targets)) {
        const sha256 = createHash('sha256').update(text).digest('hex');
        listed[name] = { length: Buffer.byteLength(text), hashes: { sha256 } };
        files.set(`targets/${sha256}.${name}`, Buffer.from(text));
      }
      const common = { spec_version: '1.0.31', version, expires: time(expires) };
      const meta = (name: Role): object => ({ [`${name}.json`]: { version } });
      const documents = {
        targets: { _type: 'targets', ...common, targets: listed },
        snapshot: { _type: 'snapshot', ...common, meta: meta('targets') },
        timestamp: { _type: 'timestamp', ...common, meta: meta('snapshot') },
      };
      files.set(`${version}.targets.json`, signed(documents.targets, by));
      files.set(`${version}.snapshot.json`, signed(documents.snapshot, by));
      files.set('timestamp.json', signed(documents.timestamp, by));
    },
    rotate: () => {
      const next = generateKeyPairSync('ed25519');
      rootVersion += 1;
      files.set(`${rootVersion}.root.json`, signed(rootDocument(rootVersion, next), key, next));
      key = next;
    },
    [Symbol.asyncDispose]: close,
  };
}

function inOneDay(): Date {
  return new Date(Date.now() + 24 * 3_600_000);
}

function time(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

function rootDocument(version: number, { publicKey }: KeyPairKeyObjectResult): object {
  const key = keyDocument(publicKey);
  const role = { keyids: [idOf(key)], threshold: 1 };
  return {
    _type: 'root',
    spec_version: '1.0.31',
    version,
    expires: time(inOneDay()),
    consistent_snapshot: true,
    keys: { [idOf(key)]: key },
    roles: Object.fromEntries(ROLES.map((name) => [name, role])),
  };
}

/** Returns a key as TUF's metadata lists it. */
export function keyDocument(publicKey: KeyPairKeyObjectResult['publicKey']): object {
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: raw.toString('hex') } };
}

/** Returns the id of a listed key. */
export function idOf(key: object): string {
  return createHash('sha256').update(canonicalJson(key)).digest('hex');
}

/** Returns metadata with the signatures of keys. */
export function signed(document: object, ...keys: readonly KeyPairKeyObjectResult[]): Buffer {
  const bytes = Buffer.from(canonicalJson(document));
  const signatures = keys.map(({ publicKey, privateKey }) => ({
    keyid: idOf(keyDocument(publicKey)),
    sig: sign(null, bytes, privateKey).toString('hex'),
  }));
  return Buffer.from(JSON.stringify({ signed: document, signatures }));
}
