import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { Tokens } from '@lkt/server';
import { LktCommand } from '../../command.ts';
import { parseAddress } from '../../flags/listen-address.ts';
import { Flags } from '../../flags/options.ts';
import { parseSize } from '../../flags/sizes.ts';
import { printable } from '../../output/printable.ts';
import type { Session } from '../../session/session.ts';

export class CacheServe extends LktCommand {
  static override summary = 'Serve the store to others: as a registry, and as a remote cache of Nx';
  static override description = `Packages are pushed and pulled as with any registry, "--cache-from" and "--cache-to" of "lkt pkg build" name a tag in it, and Nx finds it by NX_SELF_HOSTED_REMOTE_CACHE_SERVER. What is there is never changed: a blob has its digest, an output of Nx its hash, and a tag keeps its meaning. It runs until Ctrl-C.

Who has no token may do nothing, once there are tokens: one on each line of the files, or in the variables LKT_SERVE_TOKEN and LKT_SERVE_READ_TOKEN. Clients send one as a Bearer token, or as the password of any user. Only this machine can connect unless an address is given; others need TLS and a token.`;
  static override examples = [
    '<%= config.bin %> cache serve',
    '<%= config.bin %> cache serve --listen :5000 --tls-cert cert.pem --tls-key key.pem --token-file ci.token --read-token-file all.token',
  ];
  static override flags = {
    'insecure-http': Flags.boolean({
      summary: 'without TLS although others can connect: whoever is in between reads the tokens',
    }),
    'insecure-no-tokens': Flags.boolean({
      summary: 'without tokens although others can connect: everybody may write',
    }),
    listen: Flags.string({
      summary: 'where to listen; an empty address is all of this machine, port 0 any that is free',
      helpValue: '[ADDR:]PORT',
      default: '5000',
    }),
    'max-blob': Flags.string({
      summary: 'how long what is pushed may be; by default 64G',
      helpValue: 'SIZE',
    }),
    'move-tags': Flags.boolean({
      summary: 'let a tag be pushed again with another image',
    }),
    'read-token-file': Flags.string({
      summary: 'a file of tokens that may read only; may be repeated',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'tls-cert': Flags.string({
      summary: 'the certificate of this machine, with those that vouch for it, in PEM form',
      helpValue: 'FILE',
      dependsOn: ['tls-key'],
    }),
    'tls-key': Flags.string({
      summary: 'its key',
      helpValue: 'FILE',
      dependsOn: ['tls-cert'],
    }),
    'token-file': Flags.string({
      summary: 'a file of tokens that may read and write; may be repeated',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<{ url: string }> {
    const { flags } = await this.parse(CacheServe);
    const session = await this.begin(flags);
    const { host, port, isLoopback } = parseAddress('--listen', flags.listen);
    const { LKT_SERVE_TOKEN, LKT_SERVE_READ_TOKEN } = session.environment.variables;
    const tokens: Tokens = {
      write: await tokensOf(session, flags['token-file'], 'LKT_SERVE_TOKEN', LKT_SERVE_TOKEN),
      read: await tokensOf(
        session,
        flags['read-token-file'],
        'LKT_SERVE_READ_TOKEN',
        LKT_SERVE_READ_TOKEN,
      ),
    };
    const [cert, key] = [flags['tls-cert'], flags['tls-key']];
    const tls =
      cert === undefined || key === undefined
        ? undefined
        : { cert: await readText(session, cert), key: await readText(session, key) };
    if (!isLoopback) {
      if (tls === undefined && !flags['insecure-http'])
        throw refused('without TLS', '--tls-cert and --tls-key', '--insecure-http');
      if (tokens.write.length + tokens.read.length === 0 && !flags['insecure-no-tokens'])
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
  return new LktError('USAGE_INVALID', `others can connect there, and that ${what}`, {
    fix: `give ${needed}, or ${anyway} if you mean it`,
  });
}

async function tokensOf(
  session: Session,
  files: readonly string[] = [],
  name: string,
  variable = '',
): Promise<readonly string[]> {
  const { MIN_TOKEN_LENGTH } = await import('@lkt/server');
  const found: string[] = [];
  const add = (from: string, text: string): void => {
    const tokens = text.split(/\s+/).filter((token) => token !== '');
    if (tokens.length === 0) throw new LktError('CONFIG_INVALID', `there is no token in ${from}`);
    if (tokens.some((token) => token.length < MIN_TOKEN_LENGTH))
      throw new LktError('CONFIG_INVALID', `a token in ${from} could be guessed`, {
        fix: `have ${MIN_TOKEN_LENGTH} characters or more: openssl rand -hex 32`,
      });
    found.push(...tokens);
  };
  for (const file of files) add(file, await readText(session, file));
  if (variable !== '') add(name, variable);
  return found;
}

async function readText({ environment }: Session, file: string): Promise<string> {
  try {
    return await readFile(resolve(environment.cwd, file), 'utf8');
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES')) throw cause;
    throw new LktError('NOT_FOUND', `cannot read ${file}`, { cause });
  }
}

function sizeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const size = parseSize(text);
  if (size !== undefined) return size;
  throw new LktError('USAGE_INVALID', `--max-blob ${text} is not a size`, {
    fix: 'write it as a number and K, M or G, such as 20G',
  });
}
