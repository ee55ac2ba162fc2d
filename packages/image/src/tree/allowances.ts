import { fromRaw } from '@lkt/oci';
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
 */
export async function allowancesOf({ entries, parts }: Root): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const { path, part, content } of entries.values()) {
    const [, place] = /^containers\/([^/]+\/[^/]+)\/config\.json$/.exec(path) ?? [];
    const contents = parts[part]?.contents;
    if (place === undefined || content === undefined || contents === undefined) continue;
    const { annotations, linux } = JSON.parse(await contentText(contents, content)) as Spec;
    const words = (annotations?.[ALLOW_ANNOTATION] ?? '').split(' ').filter((word) => word !== '');
    if (linux?.seccomp !== undefined) words.push('its own seccomp');
    if (words.length > 0) lines.push(`${fromRaw(place)}: ${words.join(', ')}`);
  }
  return lines;
}
