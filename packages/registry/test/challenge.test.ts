import { expect, it } from 'vitest';
import { parseChallenges } from '../src/auth/challenge.ts';

it.each<[string, ReturnType<typeof parseChallenges>]>([
  ['', []],
  ['Basic', [{ scheme: 'basic', parameters: {} }]],
  ['Basic realm="a, b=\\"c\\""', [{ scheme: 'basic', parameters: { realm: 'a, b="c"' } }]],
  [
    'Bearer realm="https://auth/token",service=reg,scope="repository:a/b:pull,push"',
    [
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth/token',
          service: 'reg',
          scope: 'repository:a/b:pull,push',
        },
      },
    ],
  ],
  [
    'Negotiate, Basic realm = "x" , BEARER Realm="y"',
    [
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'basic', parameters: { realm: 'x' } },
      { scheme: 'bearer', parameters: { realm: 'y' } },
    ],
  ],
  [
    'Negotiate YWJj+/==, Bearer realm="y"',
    [
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'bearer', parameters: { realm: 'y' } },
    ],
  ],
  ['Bearer realm="unclosed', [{ scheme: 'bearer', parameters: {} }]],
  ['"', []],
  ['Bearer realm="a",realm="b"', [{ scheme: 'bearer', parameters: { realm: 'a' } }]],
])('parseChallenges parses %s', (header, expected) => {
  expect(parseChallenges(header)).toEqual(expected);
});
