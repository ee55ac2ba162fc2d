import type { Stats } from 'node:fs';
import { parentPath, type RawPath } from '@lkt/oci';
import type { SourceNode, SourceTree } from '@lkt/dockerfile';
import { linkAt, namesAt, statAt, typeOf } from '../system/raw-fs.ts';

/** A mounted file system as the source of a COPY. Sockets are left out. */
export class HostTree implements SourceTree {
  readonly root: string;
  readonly #stats = new Map<RawPath, Stats | undefined>();

  constructor(root: string) {
    this.root = root;
  }

  node(path: RawPath): SourceNode | undefined {
    const stats = this.stats(path);
    const type = stats === undefined ? undefined : typeOf(stats);
    if (type === undefined) return undefined;
    return { type, link: type === 'symlink' ? linkAt(this.root, path) : undefined };
  }

  names(path: RawPath): readonly string[] {
    return this.stats(path)?.isDirectory() === true ? namesAt(this.root, path) : [];
  }

  stats(path: RawPath): Stats | undefined {
    if (!this.#stats.has(path)) this.#stats.set(path, this.#look(path));
    return this.#stats.get(path);
  }

  /** Does not look behind symlinks: their targets mean something else in the image. */
  #look(path: RawPath): Stats | undefined {
    if (path !== '' && this.stats(parentPath(path))?.isDirectory() !== true) return undefined;
    return statAt(this.root, path);
  }
}
