import { chmodSync, lchownSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { join, relative } from 'node:path';
import { withOwner } from '../system/host-error.ts';
import { limitedAgent } from './ssh-agent.ts';
import { detach, mount, MS } from '../system/syscalls.ts';

/** Who may use a file of a RUN. */
interface Access {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Files for the time of one RUN that are in memory only. */
export class PrivateFiles implements AsyncDisposable {
  readonly #directory: string;
  readonly #servers: Server[] = [];
  #count = 0;

  /** @param directory a path where nothing is. */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { mode: 0o700 });
    mount('tmpfs', directory, {
      type: 'tmpfs',
      data: 'mode=700',
      flags: MS.nosuid | MS.nodev | MS.noexec,
    });
  }

  get directory(): string {
    return this.#directory;
  }

  /** @returns the path of a file that holds a secret. */
  addSecret(bytes: Buffer, access: Access): string {
    const path = this.#path();
    writeFileSync(path, bytes, { mode: 0o600, flag: 'wx' });
    give(path, access);
    return path;
  }

  /** @returns the path of a socket that leads to an agent, limited to what a RUN may do. */
  async addAgent(agent: string, access: Access): Promise<string> {
    const path = this.#path();
    const server = limitedAgent(agent);
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      // The path of a socket can be 107 bytes long, and that of the store may be longer.
      server.listen(relative(process.cwd(), path), resolve);
    });
    give(path, access);
    return path;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close();
    detach(this.#directory);
    rmdirSync(this.#directory);
    return Promise.resolve();
  }

  #path(): string {
    this.#count += 1;
    return join(this.#directory, String(this.#count));
  }
}

function give(path: string, { mode, uid, gid }: Access): void {
  withOwner(
    () => 'a secret',
    uid === 0 ? gid : uid,
    () => lchownSync(path, uid, gid),
  );
  chmodSync(path, mode);
}
