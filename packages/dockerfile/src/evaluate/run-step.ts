import type { RunInstruction } from '../parse/ast.ts';
import type { CopyContext } from './copy-step.ts';
import { evaluateMount } from './mount-step.ts';
import { runCommand } from './run-command.ts';
import { PROXY_ARGS } from './scope.ts';
import type { RunStep } from './steps.ts';

/** What RUN needs to know of the place it stands at. */
export interface RunContext extends CopyContext {
  readonly shell: readonly string[];
  /** What ENV and ARG have set, as NAME=VALUE. */
  readonly environment: readonly string[];
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly user: string;
}

/** Expands a RUN. */
export function evaluateRun(instruction: RunInstruction, context: RunContext): RunStep {
  const { source, shell, environment, buildArgs, variables, workdir, user } = context;
  const { argv, files } = runCommand(instruction, shell, source);
  if (argv.some((argument) => argument.includes('\0'))) {
    throw source.error(instruction, 'an argument of RUN holds a NUL', 'remove the \\u0000');
  }
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
