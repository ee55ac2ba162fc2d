import { LktError } from '@lkt/core';
import { fromRaw, type RawPath } from '@lkt/oci';
import { ALLOW_ANNOTATION } from '../runtime/spec.ts';
import type { Root } from './merge.ts';
import { contentText } from './part.ts';

/** The part of a container's `config.json` that opens what init closes by default. */
interface Spec {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: { readonly seccomp?: unknown };
}

/**
 * Returns a line for each container that may do more than the defaults: its words of `allow`, and
 * whether it has its own filter of system calls.
 * @throws LktError TREE_CONFLICT if another part of the image replaced a `config.json`
 */
export async function allowancesOf({ entries, parts }: Root): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const { path, part, content } of entries.values()) {
    const [, place] = /^containers\/([^/]+\/[^/]+)\/config\.json$/.exec(path) ?? [];
    const contents = parts[part]?.contents;
    if (place === undefined || content === undefined || contents === undefined) continue;
    const { annotations, linux } = parseSpec(path, await contentText(contents, content));
    const words = (annotations?.[ALLOW_ANNOTATION] ?? '').split(' ').filter((word) => word !== '');
    if (linux?.seccomp !== undefined) words.push('its own seccomp');
    if (words.length > 0) lines.push(`${fromRaw(place)}: ${words.join(', ')}`);
  }
  return lines;
}

function parseSpec(path: RawPath, text: string): Spec {
  let spec: unknown;
  try {
    spec = JSON.parse(text);
  } catch {
    // Reported below.
  }
  if (typeof spec === 'object' && spec !== null) return spec;
  throw new LktError('TREE_CONFLICT', `/${fromRaw(path)} is not the config of a container`, {
    fix: 'leave the file out of "files" and of the images of "init", as lkt writes it',
  });
}
