import type { YamlValue } from '@lkt/core';
import { ENCRYPTION, LINUXKIT_PACKAGES, needsModules } from './linuxkit-packages.ts';

/** A line for the user about a config. */
export interface Note {
  readonly line: number;
  readonly text: string;
}

/** Returns the value of a key of a mapping; undefined without it. */
export function fieldOf(value: YamlValue | undefined, key: string): YamlValue | undefined {
  const found = value?.isMap() === true ? value.entries().get(key) : undefined;
  return found === undefined || found.isNull() ? undefined : found;
}

/** Returns the items of a list that may be missing. */
export function itemsOf(value: YamlValue | undefined): readonly YamlValue[] {
  return value === undefined || value.isNull() ? [] : value.list();
}

/** Returns notes about the `kernel` of a config. */
export function kernelNotes(kernel: YamlValue | undefined): readonly Note[] {
  const cmdline = fieldOf(kernel, 'cmdline');
  return cmdline !== undefined && /linuxkit\.\w+=/.test(cmdline.string())
    ? [note(cmdline, 'words linuxkit.NAME=VALUE have no effect; cgroups are version 2')]
    : [];
}

/** Returns notes about the `trust` of a config. */
export function trustNotes(trust: YamlValue | undefined): readonly Note[] {
  const lists = ['image', 'org'].flatMap((key) => fieldOf(trust, key) ?? []);
  const hasSigners = fieldOf(trust, 'signers') !== undefined;
  return hasSigners ? [] : lists.slice(0, 1).map((at) => note(at, TRUST));
}

const TRUST = 'it does not say who must sign: add "signers" (docs/trust.md)';

/** Packages whose successors start `/bin/sh`. */
const WITH_SHELL: ReadonlySet<string> = new Set(['getty', 'poweroff', 'sshd']);

/** Returns notes about a container whose image is `from` in LinuxKit's config. */
export function containerNotes(item: YamlValue, from: string): readonly Note[] {
  const notes: Note[] = [];
  const [, name = ''] = /^(?:docker\.io\/)?linuxkit\/([^:@/]+)/.exec(from) ?? [];
  const command = itemsOf(fieldOf(item, 'command'));
  const words = command.map((word) => word.string());
  const disk = command.find((word) => /^\/dev\/sd[a-z]/.test(word.string()));
  if (disk !== undefined)
    notes.push(note(disk, `under lkt run, ${disk.string()} is ${virtual(disk.string())}`));
  const isOurs = LINUXKIT_PACKAGES.get(name)?.kind === 'package';
  if (isOurs && !WITH_SHELL.has(name) && /(?:^|\/)(?:a|ba|da)?sh$/.test(words[0] ?? ''))
    notes.push(note(item, 'has no shell: write the program and its arguments'));
  if (name === 'metadata' && words.length < 2)
    notes.push(note(item, 'reads only disks: name the cloud, command: [/usr/bin/metadata, aws]'));
  const mounts = itemsOf(fieldOf(item, 'mounts'));
  const cgroup = mounts.find((mount) => fieldOf(mount, 'type')?.string() === 'cgroup');
  if (cgroup !== undefined)
    notes.push(note(cgroup, 'shows the cgroups of this container: it has a namespace of its own'));
  const [created] = itemsOf(fieldOf(fieldOf(item, 'runtime'), 'cgroups'));
  if (created !== undefined && !isOurs && !showsCgroups(item))
    notes.push(
      note(created, 'to see these cgroups, it also needs binds: [/sys/fs/cgroup:/sys/fs/cgroup]'),
    );
  const capabilities = [
    ...itemsOf(fieldOf(item, 'capabilities')),
    ...itemsOf(fieldOf(item, 'capabilities.add')),
  ];
  const powerful = capabilities.find((one) => /^(?:all|CAP_SYS_ADMIN)$/i.test(one.string()));
  if (name === '' && powerful !== undefined && fieldOf(item, 'allow') === undefined)
    notes.push(
      note(powerful, 'to mount or make namespaces, it also needs allow: [mount, namespaces]'),
    );
  return notes;
}

/** Reports whether a container binds the machine's cgroups. */
function showsCgroups(item: YamlValue): boolean {
  const binds = [...itemsOf(fieldOf(item, 'binds')), ...itemsOf(fieldOf(item, 'binds.add'))];
  const sources = itemsOf(fieldOf(item, 'mounts')).map((one) => fieldOf(one, 'source')?.string());
  return [...binds.map((bind) => bind.string()), ...sources].some(
    (source) => source?.startsWith('/sys/fs/cgroup') === true,
  );
}

/** Modules of Debian's kernel that something in a config needs, and PID 1 does not load. */
export interface NeededModules {
  readonly line: number;
  /** The package that needs them; undefined for a setting of the container. */
  readonly by?: string;
  readonly names: readonly string[];
}

/** Returns the modules that the settings of a container need, whose image is `from`. */
export function containerModules(item: YamlValue, from: string): readonly NeededModules[] {
  const words = itemsOf(fieldOf(item, 'command')).map((word) => word.string());
  const needed: NeededModules[] = [];
  const isDisk = /^(?:docker\.io\/)?linuxkit\/(?:extend|format|mount)\b/.test(from);
  const types = isDisk ? words.filter((word) => word === 'xfs' || word === 'btrfs') : [];
  if (types.length > 0) needed.push({ line: item.position.line, names: types });
  if (/^(?:docker\.io\/)?linuxkit\/swap\b/.test(from) && words.includes('--encrypt'))
    needed.push({ line: item.position.line, names: ENCRYPTION });
  for (const one of itemsOf(fieldOf(fieldOf(item, 'runtime'), 'interfaces'))) {
    const kind = fieldOf(one, 'peer') === undefined ? fieldOf(one, 'add')?.string() : 'veth';
    if (kind !== undefined) needed.push({ line: one.position.line, names: [kind] });
  }
  return needed;
}

/** Returns a note about needed modules. @param isLoaded whether the config loads them now */
export function moduleNote({ line, by, names }: NeededModules, isLoaded: boolean): Note {
  const text = isLoaded ? `lkt/modprobe loads ${names.join(', ')} first` : needsModules(...names);
  return { line, text: by === undefined ? text : `${by}: ${text}` };
}

function note({ position }: YamlValue, text: string): Note {
  return { line: position.line, text };
}

function virtual(path: string): string {
  return path.replace('/dev/sd', '/dev/vd');
}
