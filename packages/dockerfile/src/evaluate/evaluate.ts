import { LktError } from '@lkt/core';
import { type ContainerConfig, parseReference } from '@lkt/oci';
import type { Dockerfile, Warning } from '../parse/ast.ts';
import { checkedWarnings } from './checks.ts';
import { fileWarnings, stageWarnings } from './rules.ts';
import {
  declaredArgs,
  globalVariables,
  PROXY_ARGS,
  type ScopeOptions,
  WordReader,
} from './scope.ts';
import { SourceText } from '../parse/source-text.ts';
import { StageEvaluator, type StageState } from './stage-evaluator.ts';
import { StageGraph } from './stages.ts';
import type { BuildPlan, ImageOrigin, StagePlan } from './steps.ts';

/** The inputs of an evaluation besides the Dockerfile. */
export interface EvaluateOptions extends ScopeOptions {
  /**
   * Names of build arguments that every build sets, so that an ARG of that name needs no default.
   */
  readonly alwaysGiven?: ReadonlySet<string>;
  /**
   * Returns the `config` object of a base image that the target needs; undefined if the image has
   * none.
   */
  readonly imageConfig: (image: ImageOrigin) => ContainerConfig | undefined;
}

/**
 * Evaluates a Dockerfile: expands every variable, resolves every stage, and orders the stages that
 * the target needs.
 * @throws DOCKERFILE_INVALID with file, line and column
 * @example
 * ```ts
 * const dockerfile = parseDockerfile({ path: 'Dockerfile', text });
 * const platform = { os: 'linux', architecture: 'amd64' };
 * const plan = evaluate(dockerfile, { buildArgs: new Map(), platform, imageConfig });
 * ```
 */
export function evaluate(dockerfile: Dockerfile, options: EvaluateOptions): BuildPlan {
  const { buildArgs } = options;
  const source = new SourceText(dockerfile.file);
  const warnings: Warning[] = [...dockerfile.warnings, ...fileWarnings(dockerfile)];
  const graph = new StageGraph(dockerfile, options, warnings);
  const target = graph.target(options.target);
  const states = new Map<number, StageState>();
  const stages: StagePlan[] = [];
  for (const resolved of graph.order(target)) {
    const parent = resolved.base.kind === 'stage' ? states.get(resolved.base.index) : undefined;
    const imageConfig =
      resolved.base.kind === 'image' ? options.imageConfig(resolved.base) : undefined;
    const shell = (parent?.config ?? imageConfig)?.Shell ?? [];
    warnings.push(...stageWarnings(resolved.stage, dockerfile.file.text, shell.length > 0));
    const context = { graph, buildArgs, parent, imageConfig };
    const evaluator = new StageEvaluator(source, resolved, context);
    const { plan, state } = evaluator.run();
    states.set(resolved.stage.index, state);
    stages.push(plan);
  }
  warnings.push(...defaultWarnings(dockerfile, options), ...unusedArgs(dockerfile, buildArgs));
  return { stages, target: target.stage.index, warnings: checkedWarnings(dockerfile, warnings) };
}

/** Returns a warning for each FROM whose image name is invalid without build arguments. */
function defaultWarnings(dockerfile: Dockerfile, options: EvaluateOptions): readonly Warning[] {
  const reader = new WordReader(dockerfile, []);
  const buildArgs = new Map(
    [...options.buildArgs].filter(([name]) => options.alwaysGiven?.has(name) === true),
  );
  const variables = globalVariables(dockerfile, reader, { ...options, buildArgs });
  return dockerfile.stages.flatMap(({ from: { image } }) => {
    if (isReference(reader.word(image, variables))) return [];
    const text = `without build arguments, ${image.text} is not an image name; give its ARG a default`;
    return [{ position: image.position, text, rule: 'InvalidDefaultArgInFrom' }];
  });
}

function isReference(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch (error) {
    if (error instanceof LktError) return false;
    throw error;
  }
}

function unusedArgs(
  dockerfile: Dockerfile,
  buildArgs: ReadonlyMap<string, string>,
): readonly Warning[] {
  const declared = new Set(declaredArgs(dockerfile));
  return [...buildArgs.keys()]
    .filter(
      (name) => !declared.has(name) && !PROXY_ARGS.includes(name) && !BUILT_IN_ARGS.test(name),
    )
    .map((name) => ({
      position: { line: 1, column: 1 },
      text: name.startsWith('BUILDKIT_')
        ? `the build argument ${name} has no effect: lkt fixes its setting`
        : `no ARG declares the build argument ${name}`,
    }));
}

/** Build arguments that have an effect without an ARG. */
const BUILT_IN_ARGS =
  /^(?:SOURCE_DATE_EPOCH|BUILDKIT_SYNTAX|TARGETSTAGE|(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT))$/;
