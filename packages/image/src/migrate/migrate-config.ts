import { parseYaml, type SourceFile, type YamlValue } from '@lkt/core';
import { DOCKER_HUB, familiarReference, formatReference, parseReference } from '@lkt/oci';
import { applyEdits, type TextEdit } from '@lkt/pkg';
import { readConfig } from '../config/config.ts';
import { LINUXKIT_PACKAGES } from './linuxkit-packages.ts';
import { addModules, loadModules } from './load-modules.ts';
import {
  containerModules,
  containerNotes,
  fieldOf,
  itemsOf,
  kernelNotes,
  moduleNote,
  type NeededModules,
  type Note,
  trustNotes,
} from './notes.ts';
import { removeItems } from './remove-items.ts';

/** Replacements for LinuxKit's images in a config. */
export interface MigrateOptions {
  /** Replaces LinuxKit's kernel. */
  readonly kernel: string;
  /** Reports whether the workspace has a package of this name, `org/image`. */
  readonly isPackage: (name: string) => boolean;
}

/** A config of LinuxKit, rewritten. */
export interface MigratedConfig {
  readonly text: string;
  readonly changes: readonly MigrationChange[];
  /** Things that the user should know or decide, in the order of the file. */
  readonly notes: readonly Note[];
}

/** A rewritten reference. `to` is empty if its container or image was removed: `why`. */
export interface MigrationChange {
  readonly line: number;
  readonly from: string;
  readonly to: string;
  readonly why?: string;
}

/**
 * Rewrites a config of LinuxKit to packages of lkt, and names without a registry to Docker Hub's.
 * Keeps comments, order and all other bytes. Idempotent.
 * @throws LktError CONFIG_INVALID, REFERENCE_INVALID with line and column if it is no valid config
 */
export function migrateConfig(file: SourceFile, options: MigrateOptions): MigratedConfig {
  const root = parseYaml(file);
  readConfig(root);
  const migration = new Migration(file.text, options);
  const { kernel, init, volumes, trust, ...more } = Object.fromEntries(root.entries());
  migration.image(fieldOf(kernel, 'image'));
  if (migration.changes.some(({ to }) => to === options.kernel))
    migration.microcode(fieldOf(kernel, 'ucode'));
  migration.list(init, (item) => item);
  for (const volume of itemsOf(volumes)) migration.image(fieldOf(volume, 'image'));
  for (const section of ['onboot', 'onshutdown', 'services'])
    migration.list(more[section], (item) => fieldOf(item, 'image'));
  const hasOwnKernel = !migration.changes.some(({ to }) => to === DEBIAN_KERNEL);
  const loaded = !hasOwnKernel && migration.load(more['onboot']);
  const usesModprobe = loaded || migration.changes.some(({ to }) => to === 'lkt/modprobe');
  const added = usesModprobe && !hasOwnKernel ? addModules(file.text, init) : undefined;
  if (added !== undefined) migration.edits.push(added);
  const modules = migration.modules.map((one) => moduleNote(one, loaded));
  const notes = [...kernelNotes(kernel), ...trustNotes(trust), ...migration.notes, ...modules];
  const text = applyEdits(file.text, migration.edits);
  readConfig(parseYaml({ ...file, text }));
  return { text, changes: sorted(migration.changes), notes: sorted(notes) };
}

/** The kernel whose modules are files, which a container loads. */
const DEBIAN_KERNEL = 'lkt/kernel-debian';

/** The new reference of an image; `why` if its item is to be removed. */
interface Replacement {
  readonly to?: string;
  readonly why?: string;
  readonly note?: string | undefined;
  readonly modules?: readonly string[] | undefined;
}

/** The changes of one config. */
class Migration {
  readonly edits: TextEdit[] = [];
  readonly changes: MigrationChange[] = [];
  readonly notes: Note[] = [];
  readonly modules: NeededModules[] = [];
  readonly #text: string;
  readonly #options: MigrateOptions;

  constructor(text: string, options: MigrateOptions) {
    this.#text = text;
    this.#options = options;
  }

  /** Rewrites an image that cannot be removed. */
  image(at: YamlValue | undefined): void {
    const from = at?.string() ?? '';
    if (at === undefined || from === '') return;
    const { to = from, note } = this.#successorOf(from);
    this.#rewrite(at, from, to, note);
  }

  /** Leaves out the microcode of LinuxKit's kernel image, which lkt's kernels do not have. */
  microcode(at: YamlValue | undefined): void {
    const from = at?.string() ?? '';
    if (at === undefined || from === '' || from === 'none') return;
    this.#rewrite(
      at,
      from,
      'none',
      'the kernel image has no microcode: hosts and firmware load it',
    );
  }

  /** Rewrites a list of images or containers, and removes those whose work PID 1 does. */
  list(list: YamlValue | undefined, imageOf: (item: YamlValue) => YamlValue | undefined): void {
    const items = itemsOf(list);
    const removed = new Set<YamlValue>();
    for (const item of items) {
      const at = imageOf(item);
      if (at === undefined) continue;
      const from = at.string();
      const { to, why, note, modules } = this.#successorOf(from, item);
      if (why === undefined) {
        this.#rewrite(at, from, to ?? from, note);
        if (modules !== undefined)
          this.modules.push({ line: at.position.line, by: to, names: modules });
        if (item !== at) {
          this.notes.push(...containerNotes(item, from));
          this.modules.push(...containerModules(item, from));
        }
      } else {
        removed.add(item);
        this.changes.push({ line: item.position.line, from, to: '', why });
      }
    }
    this.edits.push(...removeItems(this.#text, items, (item) => removed.has(item)));
  }

  /** Loads the modules that Debian's kernel needs; false if the text has no place for it. */
  load(onboot: YamlValue | undefined): boolean {
    const names = [...new Set(this.modules.flatMap((one) => one.names))];
    if (names.length === 0) return false;
    const edit = loadModules(this.#text, onboot, names);
    // After the removals, which may begin at the same place.
    if (edit !== undefined) this.edits.push(edit);
    return edit !== undefined;
  }

  #rewrite(at: YamlValue, from: string, to: string, note: string | undefined): void {
    const { line } = at.position;
    if (note !== undefined) this.notes.push({ line, text: `${to}: ${note}` });
    if (to === from) return;
    const offset = this.#text.indexOf(from, at.range?.[0]);
    this.edits.push({ offset, length: from.length, replacement: to });
    this.changes.push({ line, from, to });
  }

  /** Returns the new reference; `why` if the item is to be removed. */
  #successorOf(from: string, item?: YamlValue): Replacement {
    if (from.startsWith('@') || from.includes('${')) return {};
    const reference = parseReference(from);
    const { domain, path } = reference;
    if (domain !== undefined && domain !== DOCKER_HUB) return {};
    const name = familiarReference({ domain, path });
    if (domain === undefined && name.startsWith('lkt/')) return {};
    if (domain === undefined && this.#options.isPackage(name))
      return name.startsWith('linuxkit/')
        ? { note: 'it is a package of this workspace, so it stays' }
        : {};
    const kept = formatReference(reference);
    if (!name.startsWith('linuxkit/')) return { to: kept };
    const image = name.slice('linuxkit/'.length);
    if (image === 'kernel') return { to: this.#options.kernel };
    const found = LINUXKIT_PACKAGES.get(image);
    if (found === undefined) return { to: kept, note: 'lkt has no package for it' };
    if (found.kind === 'kept') return { to: kept, note: found.note };
    if (found.kind === 'package')
      return { to: `lkt/${found.image}`, note: found.note, modules: found.modules };
    if (item === undefined) return { to: kept };
    return found.image !== undefined && bindsOtherFiles(item)
      ? { to: `lkt/${found.image}` }
      : { why: found.by };
  }
}

/** Reports whether a container binds files that PID 1 does not read itself. */
function bindsOtherFiles(item: YamlValue): boolean {
  const binds = [...itemsOf(fieldOf(item, 'binds')), ...itemsOf(fieldOf(item, 'binds.add'))];
  return (
    fieldOf(item, 'mounts') !== undefined ||
    binds.some((bind) => !/^\/etc\/sysctl\.d(?:\/[^:]*)?:/.test(bind.string()))
  );
}

function sorted<T extends { readonly line: number }>(items: readonly T[]): readonly T[] {
  return items.toSorted((a, b) => a.line - b.line);
}
