import type { ContainerConfig, Platform } from '@lkt/oci';
import type { Dockerfile, Warning } from './ast.ts';
import { checkedWarnings } from './checks.ts';
import { globalVariables, PROXY_ARGS, WordReader } from './scope.ts';
import { SourceText } from './source-text.ts';
import { StageEvaluator, type StageState } from './stage-evaluator.ts';
import { StageGraph } from './stages.ts';
import type { BuildPlan, ImageOrigin, StagePlan } from './steps.ts';

export interface EvaluateOptions {
  readonly buildArgs: ReadonlyMap<string, string>;
  /** What is built: TARGETPLATFORM and its parts. */
  readonly platform: Platform;
  /** Where it is built: BUILDPLATFORM and its parts. Default: `platform`. */
  readonly buildPlatform?: Platform;
  /** Name or number of the stage to build. Default: the last. */
  readonly target?: string;
  /** The `config` object of an image that a needed stage is FROM; undefined for an image without one. */
  readonly imageConfig: (image: ImageOrigin) => ContainerConfig | undefined;
}

/**
 * Expands every variable, resolves every stage and orders what the target needs.
 * @throws LktError DOCKERFILE_INVALID with file, line and column.
 */
export function evaluate(dockerfile: Dockerfile, options: EvaluateOptions): BuildPlan {
  const source = new SourceText(dockerfile.file);
  const warnings: Warning[] = [...dockerfile.warnings];
  const reader = new WordReader(dockerfile, warnings);
  const variables = globalVariables(dockerfile, reader, options.buildArgs, {
    target: options.platform,
    build: options.buildPlatform ?? options.platform,
  });
  const graph = new StageGraph(
    dockerfile,
    reader,
    variables,
    options.platform,
    options.imageConfig,
  );
  const target = graph.target(options.target);
  const states = new Map<number, StageState>();
  const stages: StagePlan[] = [];
  for (const resolved of graph.order(target)) {
    const evaluator = new StageEvaluator(source, resolved, {
      reader,
      graph,
      globals: variables,
      buildArgs: options.buildArgs,
      parent: resolved.base.kind === 'stage' ? states.get(resolved.base.index) : undefined,
      imageConfig: resolved.base.kind === 'image' ? options.imageConfig(resolved.base) : undefined,
    });
    const { plan, state } = evaluator.run();
    states.set(resolved.stage.index, state);
    stages.push(plan);
  }
  warnings.push(...unusedArgs(dockerfile, options.buildArgs));
  return { stages, target: target.stage.index, warnings: checkedWarnings(dockerfile, warnings) };
}

function unusedArgs(
  dockerfile: Dockerfile,
  buildArgs: ReadonlyMap<string, string>,
): readonly Warning[] {
  const declared = new Set(
    [...dockerfile.globalArgs, ...dockerfile.stages.flatMap((stage) => stage.instructions)].flatMap(
      (instruction) =>
        instruction.keyword === 'ARG' ? instruction.args.map((arg) => arg.name) : [],
    ),
  );
  return [...buildArgs.keys()]
    .filter((name) => !declared.has(name) && !PROXY_ARGS.includes(name) && !BUILT_IN.test(name))
    .map((name) => ({
      position: { line: 1, column: 1 },
      text: `no ARG takes the build argument ${name}`,
    }));
}

/** Build arguments that mean something without an ARG. */
const BUILT_IN = /^(?:SOURCE_DATE_EPOCH|BUILDKIT_.*|(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT))$/;
