import { LktError } from '@lkt/core';
import { type Entry, parentPath, type RawPath } from '@lkt/oci';

/** As Linux: more symlinks in one path are a loop. */
const MAX_LINKS = 40;

/**
 * Where the kernel unpacks the entries of an initrd: it follows symlinks of earlier entries in the
 * directory part of a name.
 */
export class UnpackedPaths {
  readonly #links = new Map<RawPath, string>();
  /** Directories that are not empty. */
  readonly #parents = new Set<RawPath>();

  /**
   * Adds an entry, and returns it with its path in the unpacked root.
   * @throws ARCHIVE_INVALID for a loop of symlinks, and for an entry in the place of a directory
   * that is not empty, which the kernel leaves out
   */
  add<E extends Entry>(entry: E): E {
    const path = this.#resolve(entry.path);
    if (entry.type !== 'directory' && this.#parents.has(path))
      throw invalid(entry.path, 'would replace a directory that is not empty');
    if (entry.type === 'symlink') this.#links.set(path, entry.link ?? '');
    else this.#links.delete(path);
    const parent = parentPath(path);
    if (parent !== '') this.#parents.add(parent);
    return path === entry.path ? entry : { ...entry, path };
  }

  #resolve(path: RawPath): RawPath {
    const pending = path.split('/');
    let done: string[] = [];
    let followed = 0;
    while (pending.length > 1) {
      const name = pending.shift() ?? '';
      if (name === '' || name === '.') continue;
      if (name === '..') {
        done.pop();
        continue;
      }
      done.push(name);
      const target = this.#links.get(done.join('/'));
      if (target === undefined) continue;
      followed += 1;
      if (followed > MAX_LINKS) throw invalid(path, 'is below a loop of symlinks');
      if (target.startsWith('/')) done = [];
      else done.pop();
      pending.unshift(...target.split('/'));
    }
    return [...done, ...pending].join('/');
  }
}

function invalid(path: RawPath, what: string): LktError {
  const name = JSON.stringify(Buffer.from(path.slice(0, 100), 'latin1').toString());
  return new LktError('ARCHIVE_INVALID', `the cpio archive is invalid: ${name} ${what}`);
}
