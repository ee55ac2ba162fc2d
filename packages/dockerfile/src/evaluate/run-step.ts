import type { RunInstruction } from '../parse/ast.ts';
import type { CopyContext } from './copy-step.ts';
import { evaluateMount } from './mount-step.ts';
import { evaluateCommand } from './run-command.ts';
import { PROXY_ARGS } from './scope.ts';
import type { RunStep } from './steps.ts';

/** The state of a stage that RUN depends on. */
export interface RunContext extends CopyContext {
  readonly shell: readonly string[];
  /** The variables that ENV and ARG set, as NAME=VALUE. */
  readonly environment: readonly string[];
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly user: string;
}

/**
 * Expands a RUN.
 * @throws DOCKERFILE_INVALID for invalid arguments and mounts
 */
export function evaluateRun(instruction: RunInstruction, context: RunContext): RunStep {
  const { source, shell, environment, buildArgs, variables, workdir, user } = context;
  const { argv, files } = evaluateCommand(instruction, shell, source);
  if (argv.some((argument) => argument.includes('\0')))
    throw source.error(instruction, 'a RUN argument contains a NUL byte', 'remove the \\u0000');
  return {
    kind: 'run',
    instruction,
    position: instruction.position,
    title: instruction.text,
    argv,
    env: environment,
    proxyEnv: PROXY_ARGS.flatMap((name) => {
      const value = buildArgs.get(name);
      return value === undefined || variables.has(name) ? [] : [`${name}=${value}`];
    }),
    workdir,
    user,
    network: instruction.network,
    security: instruction.security,
    mounts: instruction.mounts.map((mount, index) => {
      const before = instruction.mounts.slice(0, index).filter(({ type }) => type === 'ssh');
      return evaluateMount(mount, before.length, context);
    }),
    files,
  };
}
