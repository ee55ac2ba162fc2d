import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Redactor } from '../../src/secrets/redactor.ts';
import { SecretFinder } from '../../src/secrets/secret-finder.ts';

function redact(secrets: readonly string[], pieces: readonly string[]): string {
  const named = secrets.map((secret, index) => [String(index), Buffer.from(secret)] as const);
  const redactor = new Redactor(new SecretFinder(new Map(named)));
  return pieces.map((piece) => redactor.add(piece)).join('') + redactor.end();
}

test('hides the rest of a secret that begins with another one', () => {
  const secrets = ['password', 'password-of-the-database'];
  expect(redact(secrets, ['a password', '-of-the-database b'])).toBe('a *** b');
  expect(redact(secrets, ['a password', '-of-the'])).toBe('a ***-of-the');
  expect(redact(secrets, ['a password'])).toBe('a ***');
});

test('hides the same in any pieces', () => {
  const secret = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 8, maxLength: 11 });
  const text = fc.array(
    fc.oneof(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 }), fc.nat({ max: 2 })),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(fc.array(secret, { minLength: 1, maxLength: 3 }), text, (secrets, parts) => {
      const pieces = parts.map((part) =>
        typeof part === 'number' ? (secrets[part % secrets.length] ?? '') : part,
      );
      const whole = redact(secrets, [pieces.join('')]);
      expect(redact(secrets, pieces)).toBe(whole);
      expect(redact(secrets, pieces.join('').split(''))).toBe(whole);
      for (const one of secrets) expect(whole).not.toContain(one);
    }),
  );
});
