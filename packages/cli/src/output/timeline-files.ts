import { type FileHandle, open } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { Timeline } from '@lkt/machine';

/** Files for a timeline, each in the form of its extension. */
export interface TimelineFiles {
  /** Starts writing the timeline. */
  readonly write: (timeline: Timeline) => void;
  /** Resolves when all files are written and closed. */
  finished(): Promise<void>;
}

/**
 * Opens the files of `--timeline`, so that an unwritable file fails before the machine boots.
 * Returns undefined without `--timeline`.
 * @throws LktError USAGE_INVALID for an unknown extension
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
      // `finished` throws its errors.
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
    fix: 'choose a form: --timeline boot.json, or --timeline boot.svg',
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
