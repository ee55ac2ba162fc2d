import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The plugin's `options` in nx.json. */
export interface LktOptions {
  /** Command of lkt; default: `lkt`. */
  readonly lkt?: string;
  /** Name of package files; default: `build.yml`. */
  readonly buildYml?: string;
  /** Globs of possible image configs, relative to the workspace. */
  readonly images?: readonly string[];
  /** Name of the files of fleets; default: `fleet.yml`. */
  readonly fleetYml?: string;
  /** Platforms of packages, such as `linux/arm64`; default: lkt's. */
  readonly platforms?: readonly string[];
  /** Directory for the OCI image layouts of built packages; default: `.nx/lkt`. */
  readonly layouts?: string;
  /** Directory for images, each in a directory of its name; default: `out`. */
  readonly out?: string;
  /**
   * Texts on the console that end the boot in the test of an image; default: the last message of
   * lkt's init.
   */
  readonly expect?: readonly string[];
  /** Time limit of that boot in seconds; default: 300. */
  readonly timeout?: number;
}

/** The options with their defaults. */
export type Settings = Required<LktOptions>;

/** Default name of package files. */
export const BUILD_YML = 'build.yml';

const DEFAULTS: Settings = {
  lkt: 'lkt',
  buildYml: BUILD_YML,
  fleetYml: 'fleet.yml',
  images: ['examples/**/*.yml', 'examples/**/*.yaml', 'images/**/*.yml', 'images/**/*.yaml'],
  platforms: [],
  layouts: '.nx/lkt',
  out: 'out',
  expect: ['lkt: boot complete'],
  timeout: 300,
};

/** Returns the options with their defaults. */
export function settingsOf(options: LktOptions | undefined): Settings {
  return { ...DEFAULTS, ...options };
}

/**
 * Returns one glob for all possible packages and images. Nx evaluates it before it passes the
 * options, so they are read from nx.json. A glob of all YAML files would not do: when a matching
 * file is deleted, Nx treats every task as affected.
 */
export function projectGlob(start: string): string {
  const all = ownOptions(start).map(settingsOf);
  const globs = (all.length === 0 ? [settingsOf({})] : all).flatMap(
    ({ buildYml, fleetYml, images }) => [
      buildYml,
      `**/${buildYml}`,
      fleetYml,
      `**/${fleetYml}`,
      ...images,
    ],
  );
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
    // Nx reports the error.
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
