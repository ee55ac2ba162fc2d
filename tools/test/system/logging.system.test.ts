import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { boot } from './helpers/guest.ts';
import { lkt, root } from './helpers/lkt.ts';
import { probeReport } from './helpers/probe.ts';
import { comparedFacts } from '../roles.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-logging-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test(
  'logging.yml sends logs to a syslog server, including those from before the network was up',
  { timeout: 1_800_000 },
  async () => {
    const server = createSocket('udp4');
    const messages: string[] = [];
    server.on('message', (message) => messages.push(message.toString()));
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      // Uses a port of this test. A config outside the checkout has no signatures.
      const config = join(dir, 'logging.yml');
      const text = readFileSync(join(root, 'examples/logging.yml'), 'utf8');
      const address = `udp://10.0.2.2:${server.address().port}`;
      const changed = text
        .replace('udp://10.0.2.2:5514', address)
        .replace(/^trust:\n(?: .*\n)+/m, '');
      expect(changed).toContain(address);
      writeFileSync(config, changed);
      const probe = join(dir, 'probe.yml');
      const image = `"@pkg:${join(root, 'tools/probe')}"`;
      writeFileSync(probe, `services:\n  - {name: probe, image: ${image}}\n`);
      const done = await lkt(['build', '--dir', dir, '--name', 'logging', config, probe]);
      expect(done.status, done.stderr).toBe(0);
      await using guest = await boot(join(dir, 'logging'));
      await guest.until('lkt: boot complete');
      const said = (): string => messages.join('\n');
      await expect.poll(said, { timeout: 60_000 }).toMatch(/ init .*boot complete/);
      // RFC 5424: priority, version, time, host, program.
      for (const message of messages)
        expect(message).toMatch(/^<\d{1,3}>1 \d{4}-\d\d-\d\dT\S+ \S+ \S+ /);
      expect(said()).toMatch(/ dhcp .*eth0 has 10\.0\.2\.15/);
      // The log daemon has the role with a network.
      await guest.until('=== END');
      const { seen, expected } = comparedFacts('logging', probeReport(guest.console()).facts);
      expect(seen).toEqual(expected);
    } finally {
      server.close();
    }
  },
);
