import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LKT, type TestWorkspace } from './workspace.ts';

const WRITE = 'token-that-may-read-and-write';
const READ = 'token-that-may-only-read';

/** A `lkt cache serve` process, as a team would run it. */
export class NxCacheServer implements AsyncDisposable {
  readonly #url: string;
  readonly #store: string;
  readonly #child: ChildProcess;
  readonly #remove: () => Promise<void>;

  private constructor(
    url: string,
    store: string,
    child: ChildProcess,
    remove: () => Promise<void>,
  ) {
    this.#url = url;
    this.#store = store;
    this.#child = child;
    this.#remove = remove;
  }

  static async start(): Promise<NxCacheServer> {
    const temporary = await mkdtempDisposable(join(tmpdir(), 'lkt-nx-cache-'));
    const file = (name: string, token: string): string => {
      const path = join(temporary.path, name);
      writeFileSync(path, token);
      return path;
    };
    const store = join(temporary.path, 'store');
    const files = { '--token-file': file('write', WRITE), '--read-token-file': file('read', READ) };
    const tokens = Object.entries(files).flat();
    const args = [
      'cache',
      'serve',
      '--quiet',
      '--cache',
      store,
      '--listen',
      '127.0.0.1:0',
      ...tokens,
    ];
    const child = spawn(LKT, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output] = (await once(child.stdout, 'data')) as [Buffer];
    const url = output.toString().trim();
    return new NxCacheServer(url, store, child, async () => temporary.remove());
  }

  /** Configures a workspace to use this cache. */
  serves({ env }: TestWorkspace, may: 'read' | 'write'): void {
    env['NX_SELF_HOSTED_REMOTE_CACHE_SERVER'] = this.#url;
    env['NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN'] = may === 'read' ? READ : WRITE;
  }

  /** The hashes of its entries. */
  get hashes(): readonly string[] {
    return readdirSync(join(this.#store, 'nx')).toSorted();
  }

  async get(hash: string): Promise<Buffer> {
    const answer = await this.#fetch(hash);
    return Buffer.from(await answer.arrayBuffer());
  }

  async put(hash: string, body: Buffer): Promise<void> {
    await this.#fetch(hash, { method: 'PUT', body: new Uint8Array(body) });
  }

  async #fetch(hash: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${WRITE}` };
    const answer = await fetch(`${this.#url}/v1/cache/${hash}`, { ...init, headers });
    if (!answer.ok) throw new Error(`${init.method ?? 'GET'} ${hash}: ${answer.status}`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill();
    await exited;
    await this.#remove();
  }
}
