import { silentReporter } from '@lkt/core';
import { openStore } from '@lkt/oci';
import { checkBuild, type CheckReport, WorkerPool, type FileDifference } from '../src/index.ts';
import { type BuildRequest, nativeEngine } from '@lkt/builder';
import { build } from '../../builder/test/fixture.ts';

/** Builds a Dockerfile with the fixture's `build`, and checks it. */
export async function checked(
  storeDir: string,
  text: string,
  {
    everyStep = false,
    workerPool: pool,
    ...options
  }: Partial<BuildRequest> & {
    readonly everyStep?: boolean;
    readonly workerPool?: WorkerPool;
  } = {},
): Promise<CheckReport> {
  let request: BuildRequest | undefined;
  const engine = nativeEngine();
  await build(storeDir, text, {
    ...options,
    engine: {
      build: async (given, context) => {
        request = given;
        return engine.build(given, context);
      },
    },
  });
  if (request === undefined) throw new Error('nothing was built');
  const store = await openStore(storeDir);
  await using own = new WorkerPool(1);
  const workerPool = pool ?? own;
  const context = { store, reporter: silentReporter };
  const builtAt = Date.now();
  return await checkBuild(request, context, { engine, workerPool, builtAt, everyStep });
}

/**
 * Returns the differing files by stage name: `FROM base AS hazard-NAME` in the line before the
 * step.
 */
export function filesByStage(
  report: CheckReport,
  text: string,
): ReadonlyMap<string, readonly FileDifference[]> {
  const lines = text.split('\n');
  return new Map(
    report.differences.map(({ step, files }) => {
      const before = lines.slice(0, step?.line ?? 0).toReversed();
      const stage = before.map((line) => /^FROM \S+ AS (\S+)/.exec(line)?.[1]).find(Boolean);
      return [stage ?? '', files];
    }),
  );
}
