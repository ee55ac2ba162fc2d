import { LktError } from '@lkt/core';
import type { Page } from '@lkt/server';
import { LktCommand } from '../../command.ts';
import { fleetFlags } from '../../flags/fleet.ts';
import { listenFlag, parseAddress } from '../../flags/listen-address.ts';
import { listFlag, switchFlag } from '../../flags/options.ts';
import { sharedResult } from '../../fleet/shared-result.ts';
import { printable } from '../../output/printable.ts';
import { openFleet } from '../../session/fleet.ts';
import { tokensOf } from '../../session/tokens.ts';

/** How long an observation is served again; in milliseconds. */
const FRESH_MS = 5000;
const REFRESH_SECONDS = 10;

export class FleetServe extends LktCommand {
  static override summary = 'Serve the status of a fleet as a page and as metrics';
  static override description = `Serves / (a page that reloads itself), /status.json and /metrics (for Prometheus). Only reads, needs no lease, and runs until Ctrl-C.

Only this machine can connect unless an address is given; then a token is required, in the files (one per line) or LKT_FLEET_TOKEN. There is no TLS: put a proxy in front of it.`;
  static override examples = ['<%= config.bin %> fleet serve --listen 9180'];
  static override flags = {
    ...fleetFlags,
    'insecure-no-tokens': switchFlag('serve other machines without tokens: everyone can read'),
    listen: listenFlag('8081'),
    'read-token-file': listFlag('FILE', 'file with read-only tokens'),
  };

  async run(): Promise<{ url: string }> {
    const { flags } = await this.parse(FleetServe);
    const session = await this.begin(flags);
    const { host, port, isLoopback } = parseAddress(flags.listen);
    const tokens = await tokensOf(session, flags['read-token-file'], 'LKT_FLEET_TOKEN');
    if (!isLoopback && tokens.length === 0 && !flags['insecure-no-tokens'])
      throw new LktError(
        'USAGE_INVALID',
        'other machines can connect to this address, without a token',
        { fix: 'give --read-token-file, or --insecure-no-tokens to allow it' },
      );
    const { servePages } = await import('@lkt/server');
    const { Observer } = await import('../../fleet/observe.ts');
    const { metricsOf } = await import('../../fleet/metrics.ts');
    const { statusPage } = await import('../../fleet/status-page.ts');
    await using fleet = await openFleet(session, flags);
    const { signal } = session;
    const observer = new Observer(fleet, signal);
    // Many clients cost one look at the nodes.
    const report = sharedResult(async () => (await observer.observe()).report, FRESH_MS);
    const pages: Readonly<Record<string, () => Promise<Page>>> = {
      '/': async () => ({
        type: 'text/html; charset=utf-8',
        body: statusPage(await report(), new Date()),
        refresh: REFRESH_SECONDS,
      }),
      '/status.json': async () => ({
        type: 'application/json',
        body: `${JSON.stringify(await report())}\n`,
      }),
      '/metrics': async () => ({
        type: 'text/plain; version=0.0.4; charset=utf-8',
        body: metricsOf(await report()),
      }),
    };
    this.endProgress();
    await using server = await servePages({
      host,
      port,
      tokens,
      page: async (path) => (Object.hasOwn(pages, path) ? pages[path]?.() : undefined),
      onRequest: (line) => {
        if (!flags.quiet) say(line);
      },
      onError: (error) => say(`error: ${error instanceof Error ? error.message : String(error)}`),
    });
    this.log(server.url);
    if (!signal.aborted)
      await new Promise((done) => signal.addEventListener('abort', done, { once: true }));
    return { url: server.url };
  }
}

function say(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}
