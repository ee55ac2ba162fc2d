import { chmodSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { join, relative } from 'node:path';
import type { Owner } from '../copy/owners.ts';
import { setOwner } from '../system/set-owner.ts';
import { limitedAgent } from './ssh-agent.ts';
import { detach, mount, MS } from '../system/syscalls.ts';

/** Mode and owner of a file of a RUN. */
interface Access extends Owner {
  readonly mode: number;
}

/** Files of one RUN that exist only in memory. */
export class PrivateFiles implements AsyncDisposable {
  readonly #directory: string;
  readonly #servers: Server[] = [];
  #count = 0;

  /** @param directory a path that does not exist */
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

  /** Returns the path of a file with a secret. */
  addSecret(bytes: Buffer, access: Access): string {
    const path = this.#path();
    writeFileSync(path, bytes, { mode: 0o600, flag: 'wx' });
    this.#setAccess(path, access);
    return path;
  }

  /** Returns the path of a socket of an agent, limited to what a RUN may do. */
  async addAgent(agent: string, access: Access): Promise<string> {
    const path = this.#path();
    const server = limitedAgent(agent);
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      // The path of a socket has at most 107 bytes, and the store's path may be longer.
      server.listen(relative(process.cwd(), path), resolve);
    });
    this.#setAccess(path, access);
    return path;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close();
    detach(this.#directory);
    rmdirSync(this.#directory);
    return Promise.resolve();
  }

  #setAccess(path: string, access: Access): void {
    setOwner(path, '', access, 'a secret');
    chmodSync(path, access.mode);
  }

  #path(): string {
    this.#count += 1;
    return join(this.#directory, String(this.#count));
  }
}
