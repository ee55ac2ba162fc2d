import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ATTACKERS = ['root', 'user', 'login', 'admin', 'mounter', 'debugger'] as const;
/** The identity an attack runs as. */
type Attacker = (typeof ATTACKERS)[number];

/**
 * An attempt of tools/attack and the expected result per attacker. An attacker that cannot try it
 * has no entry.
 */
export type Attempt = { readonly does: string } & Readonly<Partial<Record<Attacker, string>>>;

/** The file of the attempts. */
export const EXPECTED = 'tools/test/system/attack.json';

/** Returns all attempts by name. */
export function attempts(root: string): readonly (readonly [string, Attempt])[] {
  const text = readFileSync(join(root, EXPECTED), 'utf8');
  return Object.entries(JSON.parse(text) as Record<string, Attempt>);
}

/** Returns the expected result of each attempt of one attacker, by the attempt's name. */
export function expectedAttempts(root: string, who: Attacker): Record<string, string> {
  return Object.fromEntries(
    attempts(root).flatMap(([name, { [who]: what }]) => (what === undefined ? [] : [[name, what]])),
  );
}
