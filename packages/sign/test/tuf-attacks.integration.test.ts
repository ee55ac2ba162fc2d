import { createHash, generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { tufKey, tufKeyId, tufMetadata } from '@lkt/testing/forgeries';
import { expect, it, onTestFinished } from 'vitest';
import { type FetchedRoot, fetchTrustedRoot } from '../src/sigstore/tuf.ts';
import { forgedFrom } from './forged-certificates.ts';
import { temporary } from './support.ts';

type Role = 'root' | 'snapshot' | 'targets' | 'timestamp';
type Keys = Record<Role, KeyPairKeyObjectResult>;

const ROLES: readonly Role[] = ['root', 'snapshot', 'targets', 'timestamp'];
const TARGET = 'trusted_root.json';
const DAY = 24 * 3_600_000;
const time = (days: number): string =>
  new Date(Date.now() + days * DAY).toISOString().replace(/\.\d+Z$/, 'Z');
const sha256 = (content: Buffer | string): string =>
  createHash('sha256').update(content).digest('hex');
const newKey = (): KeyPairKeyObjectResult => generateKeyPairSync('ed25519');
const newKeys = (): Keys => ({
  root: newKey(),
  snapshot: newKey(),
  targets: newKey(),
  timestamp: newKey(),
});
const idOf = ({ publicKey }: KeyPairKeyObjectResult): string => tufKeyId(tufKey(publicKey));

/** Metadata that tests change before it is signed. */
interface Document {
  [field: string]: unknown;
  version: unknown;
  expires: string;
  meta: Record<string, Record<string, unknown>>;
  targets: Record<string, Record<string, unknown>>;
  keys: Record<string, object>;
  roles: Record<string, { keyids: string[]; threshold: number }>;
}
type Documents = Record<Role, Document>;

/** A repository in the hand of an attacker. */
interface Repository {
  readonly url: string;
  readonly keys: Keys;
  /** Names of delegated roles, which no later snapshot may lack. */
  readonly roles: Set<string>;
  readonly files: Map<string, Buffer | ((response: ServerResponse) => void)>;
  /** Publishes a version of all metadata but the root, after a change of it. */
  publish(version: number, change?: (documents: Documents) => void, keys?: Partial<Keys>): void;
  /** Publishes a root, signed by keys; default: by the first ones. */
  publishRoot(
    version: number,
    change?: (root: Document) => void,
    by?: readonly KeyPairKeyObjectResult[],
    keys?: Keys,
  ): Buffer;
}

const [trusted, other] = [forgedFrom({}).trustedRoot, forgedFrom({}).trustedRoot];

async function repository(): Promise<Repository> {
  const files: Repository['files'] = new Map();
  const server = createServer((request, response) => {
    const content = files.get((request.url ?? '/').slice(1));
    if (typeof content === 'function') content(response);
    else response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  const keys = newKeys();
  const roles = new Set<string>();
  const common = { spec_version: '1.0.31', expires: time(1) };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keys,
    files,
    roles,
    publish: (version, change = () => undefined, given = {}) => {
      const by = { ...keys, ...given };
      const text = version % 2 === 1 ? trusted : other;
      const digest = sha256(text);
      const listed = { length: Buffer.byteLength(text), hashes: { sha256: digest } };
      const documents = {
        targets: { _type: 'targets', ...common, version, targets: { [TARGET]: listed } },
        snapshot: { _type: 'snapshot', ...common, version, meta: { 'targets.json': { version } } },
        timestamp: {
          _type: 'timestamp',
          ...common,
          version,
          meta: { 'snapshot.json': { version } },
        },
      } as unknown as Documents;
      for (const name of roles) documents.snapshot.meta[`${name}.json`] = { version };
      change(documents);
      files.set(`targets/${digest}.${TARGET}`, Buffer.from(text));
      for (const role of ['targets', 'snapshot', 'timestamp'] as const) {
        const path = role === 'timestamp' ? 'timestamp.json' : `${version}.${role}.json`;
        files.set(path, tufMetadata(documents[role], by[role]));
      }
    },
    publishRoot: (version, change = () => undefined, by = [keys.root], given = keys) => {
      const root = {
        _type: 'root',
        ...common,
        version,
        consistent_snapshot: true,
        keys: Object.fromEntries(
          ROLES.map((role) => [idOf(given[role]), tufKey(given[role].publicKey)]),
        ),
        roles: Object.fromEntries(
          ROLES.map((role) => [role, { keyids: [idOf(given[role])], threshold: 1 }]),
        ),
      } as unknown as Document;
      change(root);
      const bytes = tufMetadata(root, ...by);
      files.set(`${version}.root.json`, bytes);
      return bytes;
    },
  };
}

/** Sends bytes for as long as the client reads. */
function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(2 ** 16, ' ');
  response.writeHead(200);
  const send = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', send);
  send();
}

function withTwoSigners(root: Document, role: Role, ...keyids: readonly string[]): void {
  root.roles[role] = { keyids: [...keyids], threshold: 2 };
}

function expired(role: Role): (repo: Repository) => void {
  return (repo) =>
    repo.publish(6, (documents) => {
      documents[role].expires = time(-1);
    });
}

/** Delegates a target to a role with a key. */
function delegate(
  { targets }: Documents,
  name: string,
  key: KeyPairKeyObjectResult,
  more: object = {},
): void {
  targets['delegations'] = {
    keys: { [idOf(key)]: tufKey(key.publicKey) },
    roles: [{ name, keyids: [idOf(key)], threshold: 1, terminating: false, paths: ['*'], ...more }],
  };
}

/** Publishes version 6, in which a role other than the top one lists the target. */
function publishDelegated(
  repo: Repository,
  name: string,
  { key = newKey(), by = key, more = {} }: Partial<Delegation> = {},
): void {
  repo.publish(6, (documents) => {
    const { [TARGET]: listed = {} } = documents.targets.targets;
    documents.targets.targets = {};
    delegate(documents, name, key, more);
    repo.roles.add(name);
    documents.snapshot.meta[`${name}.json`] = { version: 6 };
    const document = { ...documents.targets, targets: { [TARGET]: listed } };
    Reflect.deleteProperty(document, 'delegations');
    repo.files.set(`6.${encodeURIComponent(name)}.json`, tufMetadata(document, by));
  });
}

interface Delegation {
  readonly key: KeyPairKeyObjectResult;
  readonly by: KeyPairKeyObjectResult;
  readonly more: object;
}

async function fetchFrom(
  { url }: Repository,
  root: Buffer,
  directory: string,
): Promise<FetchedRoot> {
  const http = { backoff: [1, 1] };
  return fetchTrustedRoot({ root, rootName: 'root.json', url, directory, http });
}

const ATTACKS: readonly [string, (repo: Repository) => void][] = [
  // Rollback.
  ['an older timestamp', (repo) => repo.publish(4)],
  [
    'an older snapshot',
    (repo) =>
      repo.publish(6, ({ timestamp }) => {
        timestamp.meta['snapshot.json'] = { version: 4 };
      }),
  ],
  [
    'older targets',
    (repo) => {
      repo.publish(4);
      repo.publish(6, ({ snapshot }) => {
        snapshot.meta['targets.json'] = { version: 4 };
      });
    },
  ],
  [
    'a snapshot without targets',
    (repo) =>
      repo.publish(6, ({ snapshot }) => {
        snapshot.meta = { 'other.json': { version: 6 } };
      }),
  ],
  [
    'a snapshot in place of the timestamp',
    (repo) => repo.files.set('timestamp.json', repo.files.get('5.snapshot.json') ?? Buffer.of()),
  ],
  // Freeze.
  ['an expired timestamp', expired('timestamp')],
  ['an expired snapshot', expired('snapshot')],
  ['expired targets', expired('targets')],
  [
    'an expired root',
    (repo) => {
      repo.publishRoot(2, (root) => {
        root.expires = time(-1);
      });
      repo.publish(6);
    },
  ],
  // Mix and match.
  [
    'a snapshot of another version than its name',
    (repo) => {
      repo.publish(6);
      repo.files.set('6.snapshot.json', repo.files.get('5.snapshot.json') ?? Buffer.of());
    },
  ],
  [
    'targets of another version than their name',
    (repo) => {
      repo.publish(6);
      repo.files.set('6.targets.json', repo.files.get('5.targets.json') ?? Buffer.of());
    },
  ],
  [
    'a snapshot with another hash',
    (repo) =>
      repo.publish(6, ({ timestamp }) => {
        timestamp.meta['snapshot.json'] = { version: 6, hashes: { sha256: sha256('x') } };
      }),
  ],
  [
    'a snapshot of another length',
    (repo) =>
      repo.publish(6, ({ timestamp }) => {
        timestamp.meta['snapshot.json'] = { version: 6, length: 100_000 };
      }),
  ],
  [
    'targets with another hash',
    (repo) =>
      repo.publish(6, ({ snapshot }) => {
        snapshot.meta['targets.json'] = { version: 6, hashes: { sha256: sha256('x') } };
      }),
  ],
  [
    'targets longer than the snapshot says',
    (repo) =>
      repo.publish(6, ({ snapshot }) => {
        snapshot.meta['targets.json'] = { version: 6, length: 100 };
      }),
  ],
  // Keys.
  [
    'a timestamp by the key of the snapshot',
    (repo) => repo.publish(6, undefined, { timestamp: repo.keys.snapshot }),
  ],
  [
    'targets by the key of the timestamp',
    (repo) => repo.publish(6, undefined, { targets: repo.keys.timestamp }),
  ],
  ['a snapshot by a stranger', (repo) => repo.publish(6, undefined, { snapshot: newKey() })],
  [
    'a root that only its own key signs',
    (repo) => {
      const keys = newKeys();
      repo.publishRoot(2, undefined, [keys.root], keys);
      repo.publish(6, undefined, keys);
    },
  ],
  [
    'a root that only the last key signs',
    (repo) => {
      const keys = newKeys();
      repo.publishRoot(2, undefined, [repo.keys.root], keys);
      repo.publish(6, undefined, keys);
    },
  ],
  [
    'a root with a gap in its version',
    (repo) => {
      const bytes = repo.publishRoot(3);
      repo.files.set('2.root.json', bytes);
    },
  ],
  [
    'the first root in place of the second',
    (repo) => repo.files.set('2.root.json', repo.publishRoot(1)),
  ],
  [
    'keys of a root whose predecessor is missing',
    (repo) => {
      const keys = newKeys();
      repo.publishRoot(3, undefined, [repo.keys.root, keys.root], keys);
      repo.publish(6, undefined, keys);
    },
  ],
  [
    'a timestamp in place of the root',
    (repo) => repo.files.set('2.root.json', repo.files.get('timestamp.json') ?? Buffer.of()),
  ],
  // Thresholds.
  [
    'one signer of two, whose key is listed twice',
    (repo) => {
      const id = idOf(repo.keys.targets);
      repo.publishRoot(2, (root) => withTwoSigners(root, 'targets', id, id));
      repo.publish(6);
    },
  ],
  [
    'one signer of two, whose key has two ids',
    (repo) => {
      const id = idOf(repo.keys.targets);
      repo.publishRoot(2, (root) => {
        root.keys['b'.repeat(64)] = tufKey(repo.keys.targets.publicKey);
        withTwoSigners(root, 'targets', id, 'b'.repeat(64));
      });
      repo.publish(6);
      const bytes = repo.files.get('6.targets.json');
      if (!Buffer.isBuffer(bytes)) throw new Error('no targets');
      const document = JSON.parse(bytes.toString()) as { signatures: object[] };
      document.signatures.push({ ...document.signatures[0], keyid: 'b'.repeat(64) });
      repo.files.set('6.targets.json', Buffer.from(JSON.stringify(document)));
    },
  ],
  [
    'one signer of two, whose key has two spellings',
    (repo) => {
      const id = idOf(repo.keys.targets);
      const key = tufKey(repo.keys.targets.publicKey) as { keyval: { public: string } };
      const upper = { ...key, keyval: { public: key.keyval.public.toUpperCase() } };
      repo.publishRoot(2, (root) => {
        root.keys['b'.repeat(64)] = upper;
        withTwoSigners(root, 'targets', id, 'b'.repeat(64));
      });
      repo.publish(6);
      const bytes = repo.files.get('6.targets.json');
      if (!Buffer.isBuffer(bytes)) throw new Error('no targets');
      const document = JSON.parse(bytes.toString()) as { signatures: object[] };
      document.signatures.push({ ...document.signatures[0], keyid: 'b'.repeat(64) });
      repo.files.set('6.targets.json', Buffer.from(JSON.stringify(document)));
    },
  ],
  [
    'the signature of one signer of two twice',
    (repo) => {
      const second = newKey();
      repo.publishRoot(2, (root) => {
        root.keys[idOf(second)] = tufKey(second.publicKey);
        withTwoSigners(root, 'targets', idOf(repo.keys.targets), idOf(second));
      });
      repo.publish(6);
      const bytes = repo.files.get('6.targets.json');
      if (!Buffer.isBuffer(bytes)) throw new Error('no targets');
      const document = JSON.parse(bytes.toString()) as { signatures: object[] };
      document.signatures.push(...document.signatures);
      repo.files.set('6.targets.json', Buffer.from(JSON.stringify(document)));
    },
  ],
  ...[0, -1, 0.5].map((threshold): [string, (repo: Repository) => void] => [
    `a threshold of ${threshold} that no key reaches`,
    (repo) => {
      repo.publishRoot(2, (root) => {
        root.roles['targets'] = { keyids: [idOf(repo.keys.targets)], threshold };
      });
      repo.publish(6, undefined, { targets: newKey() });
    },
  ]),
  // Delegations.
  [
    'a delegated target that a stranger signs',
    (repo) => publishDelegated(repo, 'team', { by: newKey() }),
  ],
  [
    'a delegated target in a version that the snapshot lacks',
    (repo) => {
      publishDelegated(repo, 'team');
      repo.files.set('6.team.json', tufMetadata({ _type: 'targets' }, newKey()));
    },
  ],
  ['a role with the name of the root', (repo) => publishDelegated(repo, 'root')],
  ['a role with the name of the timestamp', (repo) => publishDelegated(repo, 'timestamp')],
  // Lengths.
  ['a timestamp without end', (repo) => repo.files.set('timestamp.json', endless)],
  ['a root without end', (repo) => repo.files.set('2.root.json', endless)],
  [
    'a snapshot without end',
    (repo) => {
      repo.publish(6);
      repo.files.set('6.snapshot.json', endless);
    },
  ],
  [
    'targets without end',
    (repo) => {
      repo.publish(6);
      repo.files.set('6.targets.json', endless);
    },
  ],
  [
    'a target without end',
    (repo) => {
      repo.publish(6);
      repo.files.set(`targets/${sha256(other)}.${TARGET}`, endless);
    },
  ],
  [
    'a shorter target',
    (repo) => {
      repo.publish(6);
      repo.files.set(`targets/${sha256(other)}.${TARGET}`, Buffer.from(other.slice(1)));
    },
  ],
  [
    'a longer target',
    (repo) => {
      repo.publish(6);
      repo.files.set(`targets/${sha256(other)}.${TARGET}`, Buffer.from(`${other} `));
    },
  ],
  [
    'a target without hash',
    (repo) => {
      repo.publish(6, ({ targets }) => {
        const length = Buffer.byteLength(trusted);
        targets.targets[TARGET] = { length, hashes: {} };
      });
      repo.files.set(`targets/undefined.${TARGET}`, Buffer.from(trusted));
    },
  ],
  [
    'a compressed timestamp of a gigabyte',
    (repo) => {
      const bomb = gzipSync(Buffer.alloc(2 ** 28, ' '));
      repo.files.set('timestamp.json', (response) =>
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
      );
    },
  ],
  // The form.
  [
    'a later version of the specification',
    (repo) =>
      repo.publish(6, ({ timestamp }) => {
        timestamp['spec_version'] = '2.0.0';
      }),
  ],
  [
    'a version that is a text',
    (repo) =>
      repo.publish(6, ({ timestamp }) => {
        timestamp.version = '6';
      }),
  ],
  [
    'a timestamp nested ten thousand times',
    (repo) => repo.files.set('timestamp.json', Buffer.from('['.repeat(8000) + ']'.repeat(8000))),
  ],
  ['a timestamp that is null', (repo) => repo.files.set('timestamp.json', Buffer.from('null'))],
  ['a root that is a list', (repo) => repo.files.set('2.root.json', Buffer.from('[]'))],
];

it.each(ATTACKS)('rejects a repository with %s', async (_what, attack) => {
  const [repo, directory] = [await repository(), await temporary()];
  const root = repo.publishRoot(1);
  repo.publish(5);
  const honest = new Map(repo.files);
  expect((await fetchFrom(repo, root, directory)).text).toBe(trusted);
  attack(repo);
  const before = process.memoryUsage().rss;
  await expect(fetchFrom(repo, root, directory)).rejects.toMatchObject({
    code: expect.stringMatching(/^(?:SIGNATURE_INVALID|NETWORK_FAILED)$/) as string,
  });
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
  // The attack leaves nothing that the honest repository has to fear.
  repo.files.clear();
  for (const [path, content] of honest) repo.files.set(path, content);
  repo.publish(9);
  expect((await fetchFrom(repo, root, directory)).text).toBe(trusted);
});

it.each(['2.root', 'trusted_root', '..', '../root', 'a'.repeat(300), '__proto__', 'constructor'])(
  'keeps its metadata from a role named %s',
  async (name) => {
    const [repo, directory] = [await repository(), await temporary()];
    const root = repo.publishRoot(1);
    repo.publish(5);
    await fetchFrom(repo, root, directory);
    publishDelegated(repo, name);
    await fetchFrom(repo, root, directory).catch(() => undefined);
    repo.publish(7);
    expect((await fetchFrom(repo, root, directory)).text).toBe(trusted);
  },
);

it('follows roots that list keys twice, and under other ids than before', async () => {
  const [repo, directory] = [await repository(), await temporary()];
  const [second, other2] = ['b'.repeat(64), 'c'.repeat(64)];
  const { root: key, targets } = repo.keys;
  const root = repo.publishRoot(1, ({ keys, roles }) => {
    keys[second] = tufKey(key.publicKey);
    roles['root']?.keyids.push(second);
  });
  const bytes = repo.publishRoot(2, ({ keys, roles }) => {
    keys[other2] = tufKey(key.publicKey);
    roles['root'] = { keyids: [other2], threshold: 1 };
    keys[second] = tufKey(targets.publicKey);
    roles['targets']?.keyids.push(second);
  });
  // The key signs with its ids in the last root and in this one.
  const { signed, signatures } = JSON.parse(bytes.toString()) as {
    signed: object;
    signatures: readonly { sig: string }[];
  };
  const { sig = '' } = signatures[0] ?? {};
  const all = [idOf(key), second, other2].map((keyid) => ({ keyid, sig }));
  repo.files.set('2.root.json', Buffer.from(JSON.stringify({ signed, signatures: all })));
  repo.publish(7);
  expect(await fetchFrom(repo, root, directory)).toMatchObject({ text: trusted, rootVersion: 2 });
});

it('takes the signatures of two signers of two', async () => {
  const [repo, directory] = [await repository(), await temporary()];
  const second = newKey();
  const root = repo.publishRoot(1, (document) => {
    document.keys[idOf(second)] = tufKey(second.publicKey);
    withTwoSigners(document, 'targets', idOf(repo.keys.targets), idOf(second));
  });
  repo.publish(7);
  const path = '7.targets.json';
  const { signed } = JSON.parse(String(repo.files.get(path))) as { signed: object };
  repo.files.set(path, tufMetadata(signed, repo.keys.targets, second));
  expect((await fetchFrom(repo, root, directory)).text).toBe(trusted);
});

it('follows a delegation', async () => {
  const [repo, directory] = [await repository(), await temporary()];
  const root = repo.publishRoot(1);
  publishDelegated(repo, 'team');
  expect((await fetchFrom(repo, root, directory)).text).toBe(other);
});

it.each([
  ['other paths', { paths: ['other/*'] }],
  ['no path', { paths: [] }],
])('finds no target in a role for %s', async (_what, more) => {
  const [repo, directory] = [await repository(), await temporary()];
  const root = repo.publishRoot(1);
  publishDelegated(repo, 'team', { more });
  await expect(fetchFrom(repo, root, directory)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
