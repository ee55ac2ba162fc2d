import { readFile } from 'node:fs/promises';
import { decompressLayer, type Descriptor, fromRaw, readTar, type Store } from '@lkt/oci';
import type { ContextFile } from '@lkt/builder';
import { daySpellings, isEpochNear } from './dates.ts';

/** What two builds on one machine and one day have in common, and others have not. */
export interface Moment {
  /** Seconds since 1970. */
  readonly now: number;
  /** Release of the kernel. */
  readonly kernel: string;
  /** /proc/sys/kernel/random/boot_id */
  readonly bootId: string;
}

/** A file of an image that seems to hold the moment it was built, although a second build gave the same. */
export interface Mark {
  readonly path: string;
  readonly kind: 'day' | 'kernel' | 'boot-id';
  /** As it stands in the file. */
  readonly text: string;
}

/** More are not looked for. */
const MAX_MARKS = 10;
/** What two chunks of a file share, so that nothing is missed between them. */
const OVERLAP = 80;
/** Sources longer than this are not searched. */
const MAX_SOURCE = 2 ** 20;

/**
 * Looks in layers for what another day, machine or start of the machine would change. Seconds since 1970 count in text
 * only. What stands in the sources in the same words is no mark of the build.
 */
export async function findMarks(
  store: Store,
  layers: readonly Descriptor[],
  sources: readonly ContextFile[],
  moment: Moment,
  signal?: AbortSignal,
): Promise<readonly Mark[]> {
  const find = markFinder(moment);
  const marks: Mark[] = [];
  for (const layer of layers) {
    for await (const entry of readTar(decompressLayer(layer, store.read(layer)))) {
      signal?.throwIfAborted();
      let found: Omit<Mark, 'path'> | undefined;
      let before = '';
      for await (const chunk of entry.content ?? []) {
        const window = before + Buffer.from(chunk).toString('latin1');
        found ??= find(window);
        before = window.slice(-OVERLAP);
      }
      if (found !== undefined && marks.length < MAX_MARKS)
        marks.push({ path: `/${fromRaw(entry.path)}`, ...found });
    }
  }
  if (marks.length === 0) return marks;
  const known = await Promise.all(sources.map(readSource));
  return marks.filter(({ text }) => !known.some((source) => source.includes(text)));
}

function markFinder({
  now,
  kernel,
  bootId,
}: Moment): (window: string) => Omit<Mark, 'path'> | undefined {
  const day = new RegExp(daySpellings(now), 'i');
  // A release that is a version alone is that of sources, too.
  const isOwnKernel = /^\d+(?:\.\d+)*\D/.test(kernel);
  return (window) => {
    const spelled = day.exec(window)?.[0];
    if (spelled !== undefined) return { kind: 'day', text: spelled };
    if (isOwnKernel && window.includes(kernel)) return { kind: 'kernel', text: kernel };
    if (bootId !== '' && window.includes(bootId)) return { kind: 'boot-id', text: bootId };
    if (window.includes('\0')) return undefined;
    for (const [word] of window.matchAll(/(?<![\w.])1[5-9]\d{8}(?![\w.])/g))
      if (isEpochNear(word, now)) return { kind: 'day', text: word };
    return undefined;
  };
}

async function readSource({ source }: ContextFile): Promise<string> {
  try {
    const data = await readFile(source, 'latin1');
    return data.length > MAX_SOURCE ? '' : data;
  } catch {
    // A symlink to a directory, or to nothing.
    return '';
  }
}
