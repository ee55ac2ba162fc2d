import { nearest } from '@lkt/core';
import type { Dockerfile, Warning, Word } from '../parse/ast.ts';
import { RULES } from './rules.ts';
import { placeError } from '../parse/source-text.ts';

/** What `# check=` says (Dockerfile reference, "check"). */
interface Checks {
  /** Rules that are not looked at; `all` is every one. */
  readonly skip: ReadonlySet<string>;
  /** Whether a warning ends the build. */
  readonly error: boolean;
}

/**
 * The warnings that `# check=skip=RULE,…` leaves; what is of no rule always stays.
 * @throws LktError DOCKERFILE_INVALID at a warning of a rule with `# check=error=true`; for a bad directive
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
    const near = nearest(name, RULES) ?? RULES.find((rule) => isSameLetters(rule, name));
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    return [{ position: check.position, text: `there is no check "${name}" to skip${hint}` }];
  });
  const left = warnings
    .filter(({ rule }) => rule === undefined || !(skip.has('all') || skip.has(rule)))
    .concat(unknown);
  const first = left.find(({ rule }) => rule !== undefined);
  if (first === undefined || !error) return left;
  throw placeError(
    dockerfile.file,
    { position: first.position, offset: 0, length: 1 },
    `${first.text}, and the file says check=error=true`,
    `correct it, or add the rule to the directive: skip=${first.rule ?? ''}`,
  );
}

/** `skip=RULE,RULE;error=true`; `experimental=` is of rules that lkt does not have. */
function parseChecks(check: Word, { file }: Dockerfile): Checks {
  const fields = new Map<string, string>();
  for (const field of check.text.split(';')) {
    const [, name = '', value = ''] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(field) ?? [];
    if (!['skip', 'error', 'experimental'].includes(name) || value === '' || fields.has(name)) {
      throw placeError(
        file,
        check,
        `the directive "check" cannot be understood: ${field.trim()}`,
        'write it as skip=RULE,RULE;error=true',
      );
    }
    fields.set(name, value);
  }
  const error = (fields.get('error') ?? 'false').toLowerCase();
  if (!['true', 'false', '1', '0'].includes(error))
    throw placeError(file, check, `"${error}" is no value for error`, 'write error=true');
  const skip = (fields.get('skip') ?? '').split(',').map((rule) => rule.trim());
  return { skip: new Set(skip), error: error === 'true' || error === '1' };
}

function isSameLetters(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
