import { describe, expect, test } from 'vitest';
import { parseYaml } from '@lkt/core';
import { mergeConfigs, readConfig } from '../../src/config/config.ts';
import { checkServices, type MachineTest } from '../../src/config/tests.ts';

function testsOf(...texts: readonly string[]): readonly MachineTest[] {
  const configs = texts.map((text) => readConfig(parseYaml({ path: 'a.yml', text })));
  return mergeConfigs(configs).tests;
}

describe('tests of an image config', () => {
  test('have defaults, and names made from the check', () => {
    const text = `tests:
  - log: 'up$'
  - tcp: {port: 22, matches: SSH}
    timeout: 5
  - http: {port: 80}
  - exec: {service: web, command: [/bin/web, -v], matches: '^1'}
  - {name: goes down, poweroff: true}
`;
    expect(testsOf(text)).toEqual([
      { name: 'console shows up$', timeout: 120, check: { kind: 'log', matches: /up$/mu } },
      {
        name: 'port 22 answers',
        timeout: 5,
        check: { kind: 'tcp', port: 22, matches: /SSH/mu },
      },
      {
        name: 'port 80 serves /',
        timeout: 120,
        check: { kind: 'http', port: 80, path: '/', status: 200, headers: new Map() },
      },
      {
        name: 'web runs /bin/web -v',
        timeout: 120,
        check: {
          kind: 'exec',
          service: 'web',
          command: ['/bin/web', '-v'],
          status: 0,
          matches: /^1/mu,
        },
      },
      { name: 'goes down', timeout: 120, check: { kind: 'poweroff' } },
    ]);
    expect(testsOf('{}')).toEqual([]);
  });

  test('run commands only in services of the merged config', () => {
    const tests = testsOf('tests: [{exec: {service: web, command: [a]}}]', 'tests: [{log: x}]');
    checkServices(tests, [{ name: 'web' }]);
    expect(() => checkServices(tests, [{ name: 'db' }, { name: 'ssh' }])).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(/^a\.yml:1:\d+: .*the config has no service web$/),
        fix: 'name one of: db, ssh',
      }),
    );
  });

  test('are appended, with one shutdown at the end', () => {
    const names = testsOf(
      'tests: [{name: a, log: x}, {name: b, poweroff: true}]',
      'tests: [{name: c, log: x}, {name: d, poweroff: true}]',
      'tests: [{name: e, log: x}]',
    ).map(({ name }) => name);
    expect(names).toEqual(['a', 'c', 'e', 'd']);
  });

  test.each([
    ['{}', 'a test has no check'],
    ['{poweroff: false}', 'a test has no check'],
    ['{tcp: {port: 22}}', '"matches" is missing'],
    ['{tcp: {port: 0, matches: x}}', '0 is not a port'],
    ['{http: {port: 65536}}', '65536 is not a port'],
    ['{http: {port: 80, path: index.html}}', '"index.html" is not the path of a URL'],
    ['{http: {port: 80, path: "/a b"}}', '"/a b" is not the path of a URL'],
    ['{http: {port: 80, headers: {"a b": c}}}', '"a b" is not a header'],
    ['{http: {port: 80, headers: {a: "c\\r\\nd: e"}}}', '"a" is not a header'],
    ['{http: {port: 80, status: 99}}', '99 is not between'],
    ['{exec: {service: a}}', '"command" is missing'],
    ['{exec: {service: a, command: []}}', 'the command is empty'],
    ['{exec: {service: a, command: [""]}}', 'the command is empty'],
    [`{exec: {service: a, command: [${'x'.repeat(4097)}]}}`, 'is longer than 4096 characters'],
    ['{exec: {service: a, command: [b], status: 256}}', '256 is not between'],
    ['{log: x, timeout: 0}', '0 is not between'],
    ['{log: x, timeout: 86400}', '86400 is not between'],
    ['{log: "("}', '"(" is not a regular expression'],
    ['{log: x, name: ""}', 'it is empty'],
    ['{log: x, command: x}', 'command'],
  ])('reject %s', (text, message) => {
    expect(() => testsOf(`tests: [${text}]`)).toThrow(message);
  });
});
