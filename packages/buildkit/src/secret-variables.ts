import { LktError, type SourceFile, sourceError } from '@lkt/core';
import type { BuildPlan, Instruction, ResolvedMount, RunStep } from '@lkt/dockerfile';
import type { Edit } from './text-edit.ts';

/** The directory of the files: every container has a tmpfs at /dev, so no layer contains them. */
const DIRECTORY = '/dev/lkt-secrets';

type SecretVariable = ResolvedMount & { readonly env: string };

function variablesOf({ mounts }: RunStep): readonly SecretVariable[] {
  return mounts.filter(
    (mount): mount is SecretVariable => mount.type === 'secret' && mount.env !== undefined,
  );
}

/**
 * Reports whether a command has a secret in a variable: `RUN --mount=type=secret,id=ID,env=NAME`.
 */
export function hasSecretVariables(step: RunStep): boolean {
  return variablesOf(step).length > 0;
}

/**
 * Reports whether an error means that BuildKit, before 0.16, does not support `env=` of a secret.
 */
export function lacksSecretVariables(error: unknown): boolean {
  return error instanceof LktError && /unexpected key 'env'/.test(error.detail ?? '');
}

/**
 * Rejects secrets that a shell cannot put into a variable.
 * @throws UNSUPPORTED
 */
export function rejectSecretFiles(plan: BuildPlan, file: SourceFile): void {
  for (const step of plan.stages.flatMap(({ steps }) => steps)) {
    if (step.kind !== 'run') continue;
    const bad = variablesOf(step).find(
      ({ env, id, target }) =>
        target !== undefined || !/^[A-Za-z_]\w*$/.test(env) || !/^[\w./:-]+$/.test(id),
    );
    const position = bad?.position ?? (step.files.length > 0 ? step.position : undefined);
    if (position === undefined || !hasSecretVariables(step)) continue;
    throw sourceError(
      'UNSUPPORTED',
      file,
      position,
      'this BuildKit cannot put the secret into a variable',
      { fix: 'use BuildKit 0.16 or later, or let the command read the secret from a file' },
    );
  }
}

/** Returns the edits that let a shell read the files into variables, and then run the command. */
export function secretFileEdits(
  step: RunStep,
  { flags, offset }: Instruction,
  { text, end }: { readonly text: string; readonly end: number },
): readonly Edit[] {
  const edits: Edit[] = [];
  const script: string[] = [];
  for (const { env, id, position } of variablesOf(step)) {
    const written = flags.filter((flag) => flag.name === 'mount');
    const index = step.mounts.findIndex((mount) => mount.env === env && mount.id === id);
    const flag = written[index];
    if (flag === undefined) throw new Error(`no mount stands at line ${position.line}`);
    const path = `${DIRECTORY}/${edits.length}`;
    const mount = `--mount=type=secret,id=${id},target=${path},mode=0444`;
    edits.push({ offset: flag.offset, length: flag.length, text: mount });
    // The shell strips line breaks from the end of an output; the x protects those of the secret.
    script.push(
      `if [ -e ${path} ]; then ${env}=$(cat ${path} && printf x) || exit 1; export ${env}="\${${env}%x}"; fi`,
    );
  }
  const last = flags.at(-1);
  const start = last === undefined ? offset + 'RUN'.length : last.offset + last.length;
  const argv = ['/bin/sh', '-c', [...script, 'exec "$@"'].join('; '), 'sh', ...step.argv];
  // No word may look like the beginning of a here-document.
  const array = JSON.stringify(argv).replaceAll('<', String.raw`\u003c`);
  const rest = text.slice(start, end);
  const lineEnd = rest.endsWith('\n') ? '\n' : '';
  edits.push({ offset: start, length: end - start, text: ` ${array}${lineEnd}` });
  return edits;
}
