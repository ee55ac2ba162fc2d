import { readFile } from 'node:fs/promises';
import { decompressLayer, type Descriptor, fromRaw, readTar, type Store } from '@lkt/oci';
import type { ContextFile } from '@lkt/builder';
import { dayPattern, isEpochNear } from './dates.ts';

/** Facts that two builds on one machine and day have in common, and other builds do not. */
export interface Moment {
  /** Seconds since 1970. */
  readonly now: number;
  /** The release of the running kernel. */
  readonly kernel: string;
  /** The build of that kernel, as `uname -v` prints it. */
  readonly kernelVersion: string;
  /** The model of the processor. */
  readonly processor: string;
  /** /proc/sys/kernel/random/boot_id */
  readonly bootId: string;
}

/**
 * A file of an image that seems to contain the moment of its build, although both builds are equal.
 */
export interface Mark {
  readonly path: string;
  readonly kind: 'day' | 'kernel' | 'processor' | 'boot-id';
  /** The text as found in the file. */
  readonly text: string;
}

/** Maximum number of marks. */
const MAX_MARKS = 10;
/** Minimum length of the name of a kernel's build, or of a processor, that is searched for. */
const MIN_NAME = 8;
/** An option that gcc derives from -march=native, and writes into debug information. */
const NATIVE_FLAG = '--param=l1-cache-size=';
/** Overlap of two chunks of a file, so that no match is missed between them. */
const OVERLAP = 80;
/** Maximum size of a source file that is searched. */
const MAX_SOURCE = 2 ** 20;

/**
 * Searches layers for data that another day, machine or boot would change. Seconds since 1970 count
 * only in text. Text that also occurs in the sources does not count.
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
  kernelVersion,
  processor,
  bootId,
}: Moment): (window: string) => Omit<Mark, 'path'> | undefined {
  const day = new RegExp(dayPattern(now), 'i');
  // Sources may mention a release that is only a version number.
  const isOwnKernel = /^\d+(?:\.\d+)*\D/.test(kernel);
  return (window) => {
    const spelled = day.exec(window)?.[0];
    if (spelled !== undefined) return { kind: 'day', text: spelled };
    if (isOwnKernel && window.includes(kernel)) return { kind: 'kernel', text: kernel };
    // Shorter ones are no more than a word.
    for (const [kind, text] of [
      ['kernel', kernelVersion],
      ['processor', processor],
    ] as const)
      if (text.length >= MIN_NAME && window.includes(text)) return { kind, text };
    if (window.includes(NATIVE_FLAG)) return { kind: 'processor', text: NATIVE_FLAG };
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
    // A symlink to a directory, or a dangling one.
    return '';
  }
}
