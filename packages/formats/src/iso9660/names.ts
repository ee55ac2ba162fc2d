import { compareBytes } from '@lkt/oci';
import type { Inode } from '../file-system/file-system.ts';
import type { IsoChild } from './record.ts';

/** Maximum length of a name with its extension (ECMA-119 §10.2). */
const MAX_NAME_LENGTH = 30;
const MAX_EXTENSION_LENGTH = 8;

/**
 * Returns the children of a directory with unique ISO 9660 names (capital letters, digits and `_`),
 * sorted as ECMA-119 §9.3 requires.
 */
export function isoChildren({ children }: Inode): readonly IsoChild[] {
  const used = new Set<string>();
  const numbers = new Map<string, number>();
  const named = children.map(({ name, inode }) => {
    const isDirectory = inode.type === 'directory';
    const dot = isDirectory ? -1 : name.lastIndexOf('.');
    const extension = dot <= 0 ? '' : plain(name.slice(dot + 1)).slice(0, MAX_EXTENSION_LENGTH);
    const stem = plain(dot <= 0 ? name : name.slice(0, dot));
    const room = MAX_NAME_LENGTH - extension.length;
    const full = (text: string): string => (isDirectory ? text : `${text}.${extension};1`);
    let chosen = stem.slice(0, room);
    while (used.has(full(chosen))) {
      const base = `${stem.slice(0, room - 8)}.${extension}`;
      const number = (numbers.get(base) ?? 0) + 1;
      numbers.set(base, number);
      chosen = `${stem.slice(0, room - 8)}_${number}`;
    }
    const identifier = full(chosen);
    used.add(identifier);
    const key = chosen.padEnd(MAX_NAME_LENGTH + 1) + extension.padEnd(MAX_NAME_LENGTH + 1);
    return { identifier, name, inode, key };
  });
  return named.toSorted((a, b) => compareBytes(a.key, b.key));
}

function plain(name: string): string {
  const text = name.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_');
  return text === '' ? '_' : text;
}
