import { LktError } from '@lkt/core';
import type { Tokens } from '@lkt/server';
import { LktCommand } from '../../command.ts';
import { listenFlag, parseAddress } from '../../flags/listen-address.ts';
import { listFlag, switchFlag, valueFlag } from '../../flags/options.ts';
import { parseSize } from '../../flags/sizes.ts';
import { printable } from '../../output/printable.ts';
import { readGiven } from '../../session/paths.ts';
import { tokensOf } from '../../session/tokens.ts';

export class CacheServe extends LktCommand {
  static override summary = 'Serve the store as a registry and an Nx remote cache';
  static override description = `Serves registry clients, "--cache-from" and "--cache-to", and Nx by NX_SELF_HOSTED_REMOTE_CACHE_SERVER (docs/server.md). Runs until Ctrl-C.

With tokens, in the files (one per line), LKT_SERVE_TOKEN, LKT_SERVE_READ_TOKEN or LKT_SERVE_DELETE_TOKEN, every request needs one. Only this machine can connect unless an address is given; other machines need TLS and a token.`;
  static override examples = [
    '<%= config.bin %> cache serve --listen :5000 --tls-cert cert.pem --tls-key key.pem --token-file ci.token --read-token-file all.token',
  ];
  static override flags = {
    'delete-token-file': listFlag(
      'FILE',
      'file with read, write and delete tokens; default: nothing is deleted',
    ),
    'insecure-http': switchFlag(
      'serve other machines without TLS: everyone on the path can read the tokens',
    ),
    'insecure-no-tokens': switchFlag('serve other machines without tokens: everyone can write'),
    listen: listenFlag('5000'),
    'max-blob': valueFlag('SIZE', 'maximum size of a pushed blob; default: 64G'),
    'move-tags': switchFlag('let a push move a tag to another image'),
    'read-token-file': listFlag('FILE', 'file with read-only tokens'),
    'tls-cert': valueFlag('FILE', 'certificate and its chain, in PEM form', {
      dependsOn: ['tls-key'],
    }),
    'tls-key': valueFlag('FILE', 'key of the certificate', { dependsOn: ['tls-cert'] }),
    'token-file': listFlag('FILE', 'file with read and write tokens'),
  };

  async run(): Promise<{ url: string }> {
    const { flags } = await this.parse(CacheServe);
    const session = await this.begin(flags);
    const { host, port, isLoopback } = parseAddress(flags.listen);
    const { cwd } = session.environment;
    const tokens: Tokens = {
      write: await tokensOf(session, flags['token-file'], 'LKT_SERVE_TOKEN'),
      read: await tokensOf(session, flags['read-token-file'], 'LKT_SERVE_READ_TOKEN'),
      delete: await tokensOf(session, flags['delete-token-file'], 'LKT_SERVE_DELETE_TOKEN'),
    };
    const [cert, key] = [flags['tls-cert'], flags['tls-key']];
    const tls =
      cert === undefined || key === undefined
        ? undefined
        : { cert: await readGiven(cwd, cert), key: await readGiven(cwd, key) };
    if (!isLoopback) {
      if (tls === undefined && !flags['insecure-http'])
        throw refused('without TLS', '--tls-cert and --tls-key', '--insecure-http');
      const count = Object.values(tokens).flat().length;
      if (count === 0 && !flags['insecure-no-tokens'])
        throw refused('without a token', '--token-file', '--insecure-no-tokens');
    }
    const maxBlobSize = sizeOf(flags['max-blob']);
    const { startServer } = await import('@lkt/server');
    this.endProgress();
    await using server = await startServer({
      store: await session.openStore(),
      host,
      port,
      tokens,
      tls,
      canMoveTags: flags['move-tags'],
      maxBlobSize,
      onRequest: (line) => {
        if (!flags.quiet) say(line);
      },
      onError: (error) => say(`error: ${error instanceof Error ? error.message : String(error)}`),
    });
    this.log(server.url);
    const { signal } = session;
    if (!signal.aborted)
      await new Promise((done) => signal.addEventListener('abort', done, { once: true }));
    return { url: server.url };
  }
}

function say(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

function refused(what: string, needed: string, anyway: string): LktError {
  return new LktError('USAGE_INVALID', `other machines can connect to this address, ${what}`, {
    fix: `give ${needed}, or ${anyway} to allow it`,
  });
}

function sizeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const size = parseSize(text);
  if (size !== undefined) return size;
  throw new LktError('USAGE_INVALID', `--max-blob ${text} is not a size`, {
    fix: 'write a number and K, M or G, such as 20G',
  });
}
