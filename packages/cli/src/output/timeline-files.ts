import { open } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { ioError, LktError } from '@lkt/core';
import type { Timeline } from '@lkt/machine';
import type { RunTimeline } from '../progress/recorder.ts';

/** Files for a timeline, each in the form of its extension. */
export interface TimelineFiles<T> {
  /** Starts writing the timeline. */
  readonly write: (timeline: T) => void;
  /** Resolves when all files are written and closed. */
  finished(): Promise<void>;
}

/** Renderers of a timeline, by the extension of its file. */
export interface TimelineForms<T> {
  readonly '.json': (timeline: T) => Promise<string>;
  readonly '.svg': (timeline: T) => Promise<string>;
}

/**
 * Opens the files of `--timeline`, so that an unwritable file fails before the work begins.
 * Returns undefined without `--timeline`.
 * @throws LktError USAGE_INVALID for an unknown extension, IO_FAILED
 */
export async function openTimelines<T>(
  names: readonly string[],
  cwd: string,
  forms: TimelineForms<T>,
): Promise<TimelineFiles<T> | undefined> {
  if (names.length === 0) return undefined;
  const renderers = names.map((name) => rendererOf(name, forms));
  const files = await Promise.all(
    names.map(async (name) =>
      open(resolve(cwd, name), 'w').catch((cause: unknown) => {
        throw ioError(`cannot write --timeline ${name}`, cause);
      }),
    ),
  );
  let written: Promise<unknown> = Promise.resolve();
  return {
    write: (timeline) => {
      written = Promise.all(
        renderers.map(async (render, index) => files[index]?.writeFile(await render(timeline))),
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

export const BOOT_FORMS: TimelineForms<Timeline> = {
  '.json': async (timeline) => `${JSON.stringify(timeline, undefined, 2)}\n`,
  '.svg': async (timeline) => {
    const { chartFile } = await import('../page/bar-chart.ts');
    const { bootChart } = await import('./boot-chart.ts');
    return chartFile(bootChart(timeline));
  },
};

export const RUN_FORMS: TimelineForms<RunTimeline> = {
  '.json': async (timeline) => {
    const { traceOf } = await import('./run-timeline.ts');
    return `${JSON.stringify(traceOf(timeline))}\n`;
  },
  '.svg': async (timeline) => {
    const { chartFile } = await import('../page/bar-chart.ts');
    const { runChart } = await import('./run-timeline.ts');
    return chartFile(runChart(timeline));
  },
};

function rendererOf<T>(name: string, forms: TimelineForms<T>): (timeline: T) => Promise<string> {
  const extension = extname(name);
  if (extension === '.json' || extension === '.svg') return forms[extension];
  throw new LktError('USAGE_INVALID', `--timeline ${name} ends in neither .json nor .svg`, {
    fix: 'choose a form: --timeline time.json, or --timeline time.svg',
  });
}
