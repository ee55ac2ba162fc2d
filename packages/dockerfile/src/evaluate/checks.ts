import { nearest } from '@lkt/core';
import type { Dockerfile, Warning, Word } from '../parse/ast.ts';
import { RULES } from './rules.ts';
import { errorAt } from '../parse/source-text.ts';

/**
 * Returns the warnings that `# check=skip=RULE,…` does not skip. Warnings without a rule always
 * stay.
 * @throws DOCKERFILE_INVALID for an invalid directive, and at the first warning with a rule if the
 * file sets `# check=error=true`
 */
export function checkedWarnings(
  dockerfile: Dockerfile,
  warnings: readonly Warning[],
): readonly Warning[] {
  const { check } = dockerfile.directives;
  if (check === undefined) return warnings;
  const { skip, error } = parseChecks(check, dockerfile);
  const unknown = [...skip].flatMap((name) => {
    if (name === '' || name === 'all' || RULES.includes(name)) return [];
    const near =
      nearest(name, RULES) ?? RULES.find((rule) => rule.toLowerCase() === name.toLowerCase());
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    return [{ position: check.position, text: `unknown check "${name}" in skip${hint}` }];
  });
  const left = warnings
    .filter(({ rule }) => rule === undefined || !(skip.has('all') || skip.has(rule)))
    .concat(unknown);
  const first = left.find(({ rule }) => rule !== undefined);
  if (first === undefined || !error) return left;
  throw errorAt(
    dockerfile.file,
    { position: first.position, offset: 0, length: 1 },
    `${first.text} (an error because of check=error=true)`,
    `fix it, or add the rule to the directive: skip=${first.rule ?? ''}`,
  );
}

/**
 * Parses `skip=RULE,RULE;error=true` (Dockerfile reference, "check"): the rules to skip, or
 * `all`, and whether a warning fails the build. Ignores `experimental=`, whose rules lkt does not
 * implement.
 */
function parseChecks(
  check: Word,
  { file }: Dockerfile,
): { readonly skip: ReadonlySet<string>; readonly error: boolean } {
  const fields = new Map<string, string>();
  for (const field of check.text.split(';')) {
    const [, name = '', value = ''] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(field) ?? [];
    if (!['skip', 'error', 'experimental'].includes(name) || value === '' || fields.has(name))
      throw errorAt(
        file,
        check,
        `invalid directive "check": ${field.trim()}`,
        'write it as skip=RULE,RULE;error=true',
      );
    fields.set(name, value);
  }
  const error = (fields.get('error') ?? 'false').toLowerCase();
  if (!['true', 'false', '1', '0'].includes(error))
    throw errorAt(file, check, `"${error}" is not a valid value for error`, 'write error=true');
  const skip = (fields.get('skip') ?? '').split(',').map((rule) => rule.trim());
  return { skip: new Set(skip), error: error === 'true' || error === '1' };
}
