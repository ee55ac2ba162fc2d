import type { LktError } from '@lkt/core';
import { toRaw } from '@lkt/oci';
import { expandCapabilities, type Settings } from '@lkt/pkg';
import type { Container } from '../config/config.ts';
import { settingError } from '../runtime/check-settings.ts';
import type { PlacedContainer } from './containers.ts';
import type { Root } from './merge.ts';
import type { TreeEntry } from './part.ts';
import { RootFiles } from './root-files.ts';

/** Where init mounts file systems, and below /containers those of volumes. */
const MOUNTED = ['/containers', '/dev', '/proc', '/run', '/sys', '/tmp', '/var'];

/**
 * The files of the machine's root, as far as they are certain before a container starts: init makes
 * the root read-only, and no container mounts something there.
 */
export class MachineRoot {
  readonly #entries: Root['entries'];
  readonly #files: RootFiles;
  readonly #isFixed: boolean;
  /** Whether a container may mount something in it. */
  readonly mayMount: boolean;

  /** @param isFixed whether init makes the root read-only for good */
  constructor({ entries }: Root, containers: readonly PlacedContainer[], isFixed: boolean) {
    this.#entries = entries;
    this.#isFixed = isFixed;
    this.mayMount = containers.some(({ settings }) => mayMount(settings));
    this.#files = new RootFiles(entries, '');
    for (const path of MOUNTED) this.#files.mount(path);
    for (const { settings } of containers)
      for (const { destination } of settings.runtime?.mounts ?? [])
        if (destination.startsWith('/')) this.#files.mount(destination);
  }

  /** Reports whether a path will not exist. A mount may bring it only below a directory. */
  lacks(path: string): boolean {
    if (!this.#isFixed || path.split('/').includes('..')) return false;
    const [top = ''] = path.split('/').filter((name) => name !== '' && name !== '.');
    if (this.mayMount && this.#entries.has(toRaw(top))) return false;
    return this.#files.find(path).kind === 'nothing';
  }

  /** Returns the type of what is at a path; undefined if it is not certain. */
  typeOf(path: string): TreeEntry['type'] | undefined {
    if (!this.#isFixed || this.mayMount || path.split('/').includes('..')) return undefined;
    const found = this.#files.find(path);
    return found.kind === 'entry' ? found.type : undefined;
  }

  /** Returns why init cannot make the directories of a container, if it cannot. */
  directoryProblem(container: Container, { runtime }: Settings): LktError | undefined {
    const paths = (runtime?.mkdir ?? []).map((one) => (typeof one === 'string' ? one : one.path));
    // A relative one is in the root of the container.
    const path = paths.find((one) => one.startsWith('/') && this.lacks(one));
    if (path === undefined) return undefined;
    return settingError(container, [['runtime', 'mkdir']], `init cannot make ${path}`, {
      cause: 'the root of the machine is read-only',
      fix: 'use a path below /var or /run',
    });
  }
}

/** Reports whether a container may mount something in the root of the machine. */
function mayMount({ capabilities = [] }: Settings): boolean {
  return expandCapabilities(capabilities).includes('CAP_SYS_ADMIN');
}
