import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { network, type Station } from './dhcp/network.ts';
import { buildGoProgram } from './go-program.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-node-exporter-'));
chmodSync(dir, 0o755);
const program = join(dir, 'node_exporter');

beforeAll(async () => buildGoProgram('pkg/node_exporter', program));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Fetches the metrics from a station, as Prometheus does. */
function ask(station: Station, address: string): string {
  const script =
    'fetch(process.argv[1]).then(async (r) => process.stdout.write(`${r.status} ${r.headers.get("content-type")}\\n${await r.text()}`))';
  return station.run(process.execPath, '-e', script, `http://${address}`);
}

/** Returns each metric's type and label names. */
function shapes(text: string): Set<string> {
  const types = new Map(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]),
  );
  const found = [...text.matchAll(/^(node_\w+)(?:\{(.*)\})? \S+$/gm)].map(
    ([, name = '', labels = '']) => {
      const keys = [...labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)].map(([, key]) => key);
      return `${types.get(name)} ${name}{${keys.join()}}`;
    },
  );
  return new Set(found);
}

/** Returns the sum of a metric's values. */
function total(text: string, name: string): number {
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith(name) && !/^\w/.test(line.slice(name.length)));
  return lines.map((line) => Number(line.split(' ').at(-1))).reduce((a, b) => a + b, 0);
}

test("has only metrics of Prometheus' node_exporter, with the same names, types and labels", async () => {
  await using lan = network();
  const [ours, theirs] = [lan.station('c', '10.0.0.1/24'), lan.station('d', '10.0.0.2/24')];
  const confined = ['setpriv', '--reuid=685', '--regid=685', '--clear-groups', '--no-new-privs'];
  const asker = lan.station('e', '10.0.0.3/24');
  const station = ours.start(...confined, '--bounding-set=-all', program, '--path.rootfs=/');
  await station.says('listening on :9100');
  const original = theirs.start('prometheus-node-exporter', '--web.listen-address=:9100');
  await original.says('Listening on');
  const [ourText, theirText] = [
    ask(asker, '10.0.0.1:9100/metrics'),
    ask(asker, '10.0.0.2:9100/metrics'),
  ];
  expect(ourText).toMatch(/^200 text\/plain; version=0\.0\.4; charset=utf-8\n/);
  const known = shapes(theirText);
  const told = [...shapes(ourText)];
  // Ours has every memory value of the kernel, theirs only those that its library knows.
  const memory = 'gauge node_memory_';
  expect(told.filter((shape) => !known.has(shape) && !shape.startsWith(memory))).toEqual([]);
  expect([...known].filter((shape) => shape.startsWith(memory) && !told.includes(shape))).toEqual(
    [],
  );
  expect(told.length).toBeGreaterThan(110);
  for (const collector of [
    'cpu',
    'meminfo',
    'loadavg',
    'filesystem',
    'netdev',
    'diskstats',
    'uname',
  ])
    expect(ourText).toContain(`node_scrape_collector_success{collector="${collector}"} 1\n`);
  for (const name of [
    'node_boot_time_seconds',
    'node_memory_MemTotal_bytes',
    'node_filefd_maximum',
    'node_filesystem_size_bytes{device="tmpfs"',
  ])
    expect(total(ourText, name), name).toBe(total(theirText, name));
  for (const name of [
    'node_cpu_seconds_total',
    'node_network_transmit_packets_total',
    'node_forks_total',
  ])
    expect(total(ourText, name) / total(theirText, name), name).toBeCloseTo(1, 0);
  expect(ask(asker, '10.0.0.1:9100/')).toMatch(/^200 text\/html/);
  expect(ask(asker, '10.0.0.1:9100/absent')).toMatch(/^404 /);
});
