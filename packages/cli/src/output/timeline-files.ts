import { open } from 'node:fs/promises';
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
  const renderers = names.map(rendererOf);
  const files = await Promise.all(names.map(async (name) => open(resolve(cwd, name), 'w')));
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

/** Renderers of a timeline, by the extension of its file. */
const RENDERERS: Readonly<Record<string, (timeline: Timeline) => Promise<string>>> = {
  '.json': async (timeline) => `${JSON.stringify(timeline, undefined, 2)}\n`,
  '.svg': async (timeline) => {
    const { chartFile } = await import('../page/bar-chart.ts');
    const { bootChart } = await import('./boot-chart.ts');
    return chartFile(bootChart(timeline));
  },
};

function rendererOf(name: string): (timeline: Timeline) => Promise<string> {
  const render = RENDERERS[extname(name)];
  if (render !== undefined) return render;
  throw new LktError('USAGE_INVALID', `--timeline ${name} ends in neither .json nor .svg`, {
    fix: 'choose a form: --timeline boot.json, or --timeline boot.svg',
  });
}
