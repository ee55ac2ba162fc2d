import { expect, test } from 'vitest';
import { withoutMetadata } from '../../src/controller/redact.ts';
import { ProviderError } from '../../src/provider.ts';

const metadata = Buffer.from(
  JSON.stringify({
    hostname: { content: 'web-0123abcd-0' },
    key: { content: 'BEGIN\nsecret key' },
  }),
);
const told = { metadata, names: ['shop', 'web', 'web-0123abcd-0'] };

test.each([
  ['a part', "invalid value 'BEGIN secret k", "invalid value '…"],
  ['two parts', 'secret key and BEGIN secret', '… and …'],
  ['base64', `user data ${metadata.toString('base64')} is bad`, 'user data … is bad'],
  ['nothing', 'web-0123abcd-0: no room', 'web-0123abcd-0: no room'],
])('hides what a message quotes of metadata: %s', (_, message, expected) => {
  const error = new ProviderError('invalid', message, { fix: 'f', cause: new Error(message) });
  expect(withoutMetadata(error, told)).toMatchObject({
    failure: 'invalid',
    message: expected,
    fix: 'f',
    cause: { message: expected },
  });
});

test('leaves other errors, and those without metadata', () => {
  const error = new ProviderError('invalid', 'BEGIN secret key');
  expect(withoutMetadata(error, { metadata: undefined, names: [] })).toBe(error);
  const other = new Error('BEGIN secret key');
  expect(withoutMetadata(other, told)).toBe(other);
});
