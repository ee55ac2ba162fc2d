import { expect, test } from 'vitest';
import { ciIdentityOf, ciOf } from '../../src/init/ci-identity.ts';

const GITHUB = {
  images: 'ghcr.io/acme/*',
  issuer: 'https://token.actions.githubusercontent.com',
  subject: 'https://github.com/Acme/os/.github/workflows/publish.yml@refs/heads/main',
};

test.each([
  'https://github.com/Acme/os',
  'https://github.com/Acme/os.git',
  'https://token@github.com/Acme/os.git',
  'git@github.com:Acme/os.git',
  'ssh://git@github.com/Acme/os.git',
  'ssh://git@github.com:22/Acme/os',
])('returns the identity of the workflow of %s', (url) => {
  expect(ciOf(url)).toBe('github');
  expect(ciIdentityOf('github', url, 'main')).toEqual(GITHUB);
});

test.each([
  ['https://gitlab.com/Acme/team/os.git', 'gitlab.com'],
  ['git@gitlab.example.org:Acme/team/os.git', 'gitlab.example.org'],
])('returns the identity of the pipeline of %s', (url, host) => {
  expect(ciOf(url)).toBe('gitlab');
  expect(ciIdentityOf('gitlab', url, 'trunk')).toEqual({
    images: `registry.${host}/acme/team/os/*`,
    issuer: `https://${host}`,
    subject: `https://${host}/Acme/team/os//.gitlab-ci.yml@refs/heads/trunk`,
  });
});

test('reads the host of GitLab from the remote', () => {
  const url = 'ssh://git@code.example:2222/a/b.git';
  expect(ciOf(url)).toBe('none');
  expect(ciIdentityOf('gitlab', url, 'main')?.issuer).toBe('https://code.example');
});

test.each([
  ['github', ''],
  ['github', '../os.git'],
  ['github', '/srv/github/os.git'],
  ['github', 'https://github.com/os'],
  ['github', 'https://github.com.evil.example/acme/os'],
  ['github', 'https://github.example/acme/os'],
  ['github', 'https://evil.example/github.com/acme'],
  ['github', "https://github.com/acme/o's"],
  ['none', 'https://github.com/acme/os'],
] as const)('has no identity for %s at %s', (ci, url) => {
  expect(ciIdentityOf(ci, url, 'main')).toBeUndefined();
});

test.each(['https://evil.example/github/os', '/srv/gitlab/os.git', ''])(
  'detects no CI system at %s',
  (url) => {
    expect(ciOf(url)).toBe('none');
  },
);
