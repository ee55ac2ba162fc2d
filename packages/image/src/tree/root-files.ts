import { parentPath, type RawPath, toRaw } from '@lkt/oci';
import type { TreeEntry } from './part.ts';

/** Maximum links followed in a path, as in the kernel. */
const MAX_LINKS = 40;

/** Result of a path: an entry, nothing, or unknown contents of a mount. */
export type Found =
  | { readonly kind: 'entry'; readonly type: TreeEntry['type']; readonly mode: number }
  /** `below` is the path of a file on the way, if any. */
  | { readonly kind: 'nothing'; readonly below?: RawPath }
  | { readonly kind: 'unknown' };

/**
 * The files of a root in the composed image: of the machine, or of a container. Links are followed
 * inside of it, as runc does.
 */
export class RootFiles {
  readonly #entries: ReadonlyMap<RawPath, TreeEntry>;
  readonly #prefix: string;
  readonly #mounted = new Set<RawPath>();

  /** @param root directory of the composed image; empty for the machine's */
  constructor(entries: ReadonlyMap<RawPath, TreeEntry>, root: RawPath) {
    this.#entries = entries;
    this.#prefix = root === '' ? '' : `${root}/`;
  }

  /** Makes the contents of a path unknown: something is mounted there. */
  mount(path: string): void {
    this.#mounted.add(this.#resolve(path).at);
  }

  /** Returns what is at a path from the root. */
  find(path: string): Found {
    return this.#resolve(path).found;
  }

  /** Follows a path. Its missing parts stay as they are, since a runtime creates them. */
  #resolve(path: string): { readonly at: RawPath; readonly found: Found } {
    let todo = toRaw(path).split('/').toReversed();
    let at: RawPath = '';
    let links = 0;
    let found: Found = ROOT;
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (this.#mounted.has(at)) found = { kind: 'unknown' };
      if (name === '' || name === '.') continue;
      if (name === '..') {
        at = parentPath(at);
        if (found.kind === 'entry') found = this.#at(at);
        continue;
      }
      const next = at === '' ? name : `${at}/${name}`;
      if (found.kind !== 'entry') {
        at = next;
        continue;
      }
      if (found.type !== 'directory') {
        found = { kind: 'nothing', below: at };
        at = next;
        continue;
      }
      const entry = this.#entries.get(this.#prefix + next);
      if (entry?.type === 'symlink' && !this.#mounted.has(next)) {
        links += 1;
        if (links > MAX_LINKS) return { at: next, found: { kind: 'nothing' } };
        const target = entry.link ?? '';
        if (target.startsWith('/')) at = '';
        found = this.#at(at);
        todo = [...todo, ...target.split('/').toReversed()];
        continue;
      }
      at = next;
      found = this.#at(at);
    }
    return { at, found: this.#mounted.has(at) ? { kind: 'unknown' } : found };
  }

  #at(path: RawPath): Found {
    if (path === '') return ROOT;
    const entry = this.#entries.get(this.#prefix + path);
    return entry === undefined
      ? { kind: 'nothing' }
      : { kind: 'entry', type: entry.type, mode: entry.mode };
  }
}

const ROOT: Found = { kind: 'entry', type: 'directory', mode: 0o755 };
