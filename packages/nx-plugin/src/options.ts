import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** `options` of the plugin in nx.json; each may be left out. */
export interface LktOptions {
  /** How lkt is called: by default `lkt`. */
  readonly lkt?: string;
  /** The name of the files that describe packages: by default `build.yml`. */
  readonly buildYml?: string;
  /** Which files may be image configs: globs from the top of the workspace. */
  readonly images?: readonly string[];
  /** The platforms that packages are built for, such as `linux/arm64`; by default lkt's. */
  readonly platforms?: readonly string[];
  /** Where built packages are left, an OCI image layout each: by default `.nx/lkt`. */
  readonly layouts?: string;
  /** Where images are written, each in a directory of its name: by default `out`. */
  readonly out?: string;
  /** What the console of an image has to show for its test to be good: by default what lkt's init says at the end. */
  readonly expect?: readonly string[];
  /** Seconds that this may take: by default 300. */
  readonly timeout?: number;
}

export type Settings = Required<LktOptions>;

export const BUILD_YML = 'build.yml';

const DEFAULTS: Settings = {
  lkt: 'lkt',
  buildYml: BUILD_YML,
  images: ['examples/**/*.yml', 'examples/**/*.yaml', 'images/**/*.yml', 'images/**/*.yaml'],
  platforms: [],
  layouts: '.nx/lkt',
  out: 'out',
  expect: ['lkt: boot complete'],
  timeout: 300,
};

export function settingsOf(options: LktOptions | undefined): Settings {
  return { ...DEFAULTS, ...options };
}

/**
 * One glob for all that may describe a project here. Nx asks for it before it tells the options, so they are read from
 * its own file. A glob of all YAML files would do, but Nx takes every task for changed where a file that matches is gone.
 */
export function projectGlob(start: string): string {
  const all = ownOptions(start).map(settingsOf);
  const globs = (all.length === 0 ? [settingsOf({})] : all).flatMap(({ buildYml, images }) => [
    buildYml,
    `**/${buildYml}`,
    ...images,
  ]);
  return `{${[...new Set(globs)].join(',')}}`;
}

interface NxJson {
  readonly plugins?: readonly (
    | string
    | { readonly plugin: string; readonly options?: LktOptions }
  )[];
}

function ownOptions(start: string): readonly LktOptions[] {
  const text = nxJson(start);
  if (text === undefined) return [];
  let config: NxJson;
  try {
    config = JSON.parse(text) as NxJson;
  } catch {
    // Nx says what is wrong with it.
    return [];
  }
  return (config.plugins ?? []).flatMap((entry) =>
    typeof entry !== 'string' && /nx-plugin/.test(entry.plugin) ? [entry.options ?? {}] : [],
  );
}

function nxJson(dir: string): string | undefined {
  try {
    return readFileSync(join(dir, 'nx.json'), 'utf8');
  } catch {
    return dirname(dir) === dir ? undefined : nxJson(dirname(dir));
  }
}
