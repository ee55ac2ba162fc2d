import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { examplePart } from './helpers/example.ts';
import { lkt, root } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-test-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const testsOf = (example: string): string => {
  const text = readFileSync(join(root, `examples/${example}.yml`), 'utf8');
  return text.slice(text.indexOf('\ntests:\n') + 1);
};

test(
  'lkt test runs the checks of several examples in one machine, and fails with the one that does not hold',
  { timeout: 1_800_000 },
  async () => {
    const more = join(dir, 'more.yml');
    const others = join(dir, 'others.yml');
    const address = testsOf('minimal').replace(/ {2}- poweroff.*\n/, '');
    const rest = testsOf('redis').replace('tests:\n', '');
    writeFileSync(
      more,
      `services:\n${examplePart('redis', '  - name: valkey', '# Each image must')}\n${address}${rest}`,
    );
    writeFileSync(
      others,
      `services:\n${examplePart('node_exporter', '  - name: node_exporter', '# Each image must')}\n${testsOf(
        'node_exporter',
      ).replace(
        'tests:\n',
        "tests:\n  - { name: is refused, http: { port: 9100, path: /none, status: 200 }, timeout: 2 }\n  - { name: listens on no other port, tcp: { port: 9, matches: '.' }, timeout: 2 }\n  - { name: runs nothing, exec: { service: valkey, command: [/bin/none] }, timeout: 10 }\n  - { name: ends otherwise, exec: { service: node_exporter, command: [/usr/bin/node_exporter, --version], status: 9 }, timeout: 10 }\n",
      )}`,
    );
    const junit = join(dir, 'results.xml');
    // Without containerd, and with crun.
    const configs = [join(root, 'examples/tiny.yml'), more, others];
    const done = await lkt([
      'test',
      '--json',
      '--boot-timeout',
      '25m',
      '--dir',
      dir,
      '--junit',
      junit,
      ...configs,
    ]);
    expect(done.status, done.stdout + done.stderr).toBe(1);
    const { error } = JSON.parse(done.stdout) as {
      readonly error: {
        readonly code: string;
        readonly detail: string;
        readonly report: {
          readonly checks: readonly {
            readonly name: string;
            readonly outcome: string;
            readonly reason?: string;
          }[];
        };
      };
    };
    expect(error.code).toBe('TEST_FAILED');
    expect(error.report.checks.map(({ name, outcome }) => `${outcome} ${name}`)).toEqual([
      'passed boots',
      'passed has an address',
      'passed answers',
      'passed valkey runs /usr/bin/valkey-server --version',
      'failed is refused',
      'failed listens on no other port',
      'failed runs nothing',
      'failed ends otherwise',
      'passed port 9100 serves /metrics',
      'passed powers off',
    ]);
    const reasons = error.report.checks.flatMap(({ reason }) => reason ?? []);
    expect(reasons).toEqual([
      'the status is 404, not 200, not within 2 s',
      expect.stringMatching(/^the connection was closed, not within 2 s$/),
      expect.stringMatching(/, not within 10 s$/),
      expect.stringMatching(/, not within 10 s$/),
    ]);
    expect(error.detail).toContain('| lkt: bye');
    expect(readFileSync(junit, 'utf8')).toMatch(
      /^<testsuites tests="10" failures="4" skipped="0" /m,
    );

    // Only the image that was booted has the agent; that of `lkt build` has none.
    const sbom = (name: string): string =>
      readFileSync(join(dir, `${name}-sbom.spdx.json`), 'utf8');
    expect(sbom('others')).not.toContain('test-agent');
    expect(sbom('others-tested')).toContain('test-agent');
  },
);
