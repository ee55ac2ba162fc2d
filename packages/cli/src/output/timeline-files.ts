import { type FileHandle, open } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { Timeline } from '@lkt/machine';

/** Files that get a timeline, each in the form that its name says. */
export interface TimelineFiles {
  /** Begins to write it. */
  readonly write: (timeline: Timeline) => void;
  /** Ends when it is written, if it was to be, and the files are closed. */
  finished(): Promise<void>;
}

/**
 * Opens what `--timeline` names, so that a machine need not boot for a file that cannot be written. Undefined: none is named.
 * @throws LktError USAGE_INVALID for a name of another form
 */
export async function openTimelines(
  names: readonly string[],
  cwd: string,
): Promise<TimelineFiles | undefined> {
  if (names.length === 0) return undefined;
  const forms = names.map(formOf);
  const files = await Promise.all(names.map(async (name) => open(resolve(cwd, name), 'w')));
  let written: Promise<unknown> = Promise.resolve();
  return {
    write: (timeline) => {
      written = Promise.all(
        files.map(async (file, index) => writeTo(file, forms[index], timeline)),
      );
      // `finished` throws what went wrong with it.
      written.catch(() => undefined);
    },
    finished: async () => {
      try {
        await written;
      } finally {
        await Promise.all(files.map(async (file) => file.close()));
      }
    },
  };
}

type Form = 'json' | 'svg';

function formOf(name: string): Form {
  const end = extname(name);
  if (end === '.json') return 'json';
  if (end === '.svg') return 'svg';
  throw new LktError('USAGE_INVALID', `--timeline ${name} ends in neither .json nor .svg`, {
    fix: 'name the form: --timeline boot.json, or --timeline boot.svg',
  });
}

async function writeTo(
  file: FileHandle,
  form: Form | undefined,
  timeline: Timeline,
): Promise<void> {
  if (form === 'svg') {
    const { timelineSvg } = await import('@lkt/machine');
    await file.writeFile(timelineSvg(timeline));
  } else await file.writeFile(`${JSON.stringify(timeline, undefined, 2)}\n`);
}
