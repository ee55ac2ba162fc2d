/**
 * `npm run release -- [--dry-run] [--to DIRECTORY] [--trust DIRECTORY] [--registry URL]
 * [--no-provenance]`: builds the npm packages, verifies their files, lists them, and publishes them
 * in the order of their dependencies.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { stageCli } from './cli.ts';
import { stageCollection } from './collection.ts';
import { epochProblem } from './epoch.ts';
import { stageLibraries } from './libraries.ts';
import { stageNxPlugin } from './nx-plugin.ts';
import { pack, type Packed } from './pack.ts';
import { publish } from './publish.ts';
import { type Release, releaseOf } from './release.ts';
import { problemsOf } from './verify.ts';

const root = join(import.meta.dirname, '../..');
const dist = join(root, 'dist');

interface Options {
  readonly isDryRun: boolean;
  /** Directory of the tarballs. */
  readonly to: string;
  /** Directory with the trust.yml of the collection, and the files that it names. */
  readonly trust: string | undefined;
  /** Flags of npm. */
  readonly flags: readonly string[];
}

/** @throws TypeError for an unknown option, which must not be taken for a wish to publish */
function optionsOf(words: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...words],
    options: {
      'dry-run': { type: 'boolean' },
      to: { type: 'string' },
      trust: { type: 'string' },
      registry: { type: 'string' },
      'no-provenance': { type: 'boolean' },
    },
  });
  return {
    // npm takes the flag for itself where `--` is missing.
    isDryRun: values['dry-run'] === true || process.env['npm_config_dry_run'] === 'true',
    to: resolve(values.to ?? join(dist, 'release')),
    trust: values.trust === undefined ? undefined : resolve(values.trust),
    flags: [
      ...(values.registry === undefined ? [] : [`--registry=${values.registry}`]),
      ...(values['no-provenance'] === true ? ['--provenance=false'] : []),
    ],
  };
}

async function main({ isDryRun, to, trust, flags }: Options): Promise<number> {
  mkdirSync(dist, { recursive: true });
  // Within the checkout, where the compiler finds the types of libraries.
  const stage = mkdtempSync(join(dist, 'stage-'));
  try {
    const release = releaseOf(root, stage);
    const refusal =
      (isDryRun ? undefined : reasonNotToPublish(release)) ??
      (release.isTagged ? epochProblem(root) : undefined);
    if (refusal !== undefined) return fail(refusal);
    const packages = [
      ...stageLibraries(release),
      await stageCli(release),
      await stageNxPlugin(release),
      await stageCollection(release, trust),
    ];
    mkdirSync(to, { recursive: true });
    const packed = pack(packages, to);
    const names = packages.map(({ name }) => name);
    const problems = packages.flatMap((staged) => {
      const { paths = [] } = packed.find(({ name }) => name === staged.name) ?? {};
      return problemsOf(staged, paths, root, names).map((text) => `${staged.name}: ${text}`);
    });
    if (problems.length > 0) return fail(...problems.map((text) => `error: ${text}`));
    for (const each of packed) list(each);
    return isDryRun ? 0 : publish(packed, flags);
  } finally {
    rmSync(stage, { recursive: true });
  }
}

function reasonNotToPublish({ isTagged, repository }: Release): string | undefined {
  if (!isTagged)
    return 'error: the checkout is not a tagged commit\n  fix: commit, and run git tag v1.2.3';
  if (repository === undefined)
    return 'error: the address of the repository is unknown\n  fix: run this in CI, or git remote add origin https://…';
  return undefined;
}

function fail(...lines: readonly string[]): number {
  process.stderr.write(`${lines.join('\n')}\n`);
  return 1;
}

function list({ name, version, size, unpackedSize, integrity, paths }: Packed): void {
  const sizes = `${paths.length} files, ${size} bytes packed, ${unpackedSize} unpacked`;
  const lines = [
    `${name}@${version}  ${sizes}`,
    `  ${integrity}`,
    ...paths.map((path) => `  ${path}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

try {
  process.exitCode = await main(optionsOf(process.argv.slice(2)));
} catch (error) {
  process.exitCode = fail(`error: ${error instanceof Error ? error.message : String(error)}`);
}
