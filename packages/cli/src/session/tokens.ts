import { LktError } from '@lkt/core';
import { readGiven } from './paths.ts';
import type { Session } from './session.ts';

/**
 * Returns the tokens of files, and of an environment variable.
 * @throws LktError NOT_FOUND; CONFIG_INVALID for a file without a token, or a short one
 */
export async function tokensOf(
  { environment }: Session,
  files: readonly string[] = [],
  name: string,
): Promise<readonly string[]> {
  const { MIN_TOKEN_LENGTH } = await import('@lkt/server');
  const found: string[] = [];
  const add = (from: string, text: string): void => {
    const tokens = text.split(/\s+/).filter((token) => token !== '');
    if (tokens.length === 0)
      throw new LktError('CONFIG_INVALID', `${from} contains no token`, {
        fix: 'write one into it: openssl rand -hex 32',
      });
    if (tokens.some((token) => token.length < MIN_TOKEN_LENGTH))
      throw new LktError('CONFIG_INVALID', `a token in ${from} is too short`, {
        fix: `use ${MIN_TOKEN_LENGTH} characters or more: openssl rand -hex 32`,
      });
    found.push(...tokens);
  };
  for (const file of files) add(file, await readGiven(environment.cwd, file));
  const variable = environment.variables[name] ?? '';
  if (variable !== '') add(name, variable);
  return found;
}
