import { createReadStream } from 'node:fs';
import { relative, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { ConfigFile } from '@lkt/image';
import type { Session } from './session.ts';

/** Maximum bytes of a config, far above any written by hand. */
const MAX_SIZE = 16 * 2 ** 20;

/** Reads configs one after the other, as one of them may be standard input. */
export async function readConfigFiles(
  names: readonly string[],
  session: Session,
): Promise<readonly ConfigFile[]> {
  const configs: ConfigFile[] = [];
  for (const name of names) configs.push(await readConfigFile(name, session));
  return configs;
}

/**
 * Reads a config named on the command line, and returns it with its absolute path. `-` is standard
 * input, a URL is downloaded.
 * @param fix for a missing file; default: the image configs of the workspace
 * @throws LktError NOT_FOUND, NETWORK_FAILED; CONFIG_INVALID for one that is too large; UNSUPPORTED
 * for a URL without https, unless its host is this machine
 */
export async function readConfigFile(
  name: string,
  session: Session,
  fix?: string,
): Promise<ConfigFile> {
  const { cwd } = session.environment;
  if (name === '-') {
    const text = await textOf(process.stdin, 'standard input');
    return { path: 'standard input', absolute: resolve(cwd, 'stdin.yml'), text, isStream: true };
  }
  if (/^https?:\/\//i.test(name)) return readRemote(name, session);
  const absolute = resolve(cwd, name);
  const path = relative(cwd, absolute).startsWith('..') ? name : relative(cwd, absolute);
  try {
    return { path, absolute, text: await textOf(createReadStream(absolute), name) };
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) throw error;
    const problem = isErrno(error, 'EISDIR')
      ? `${name} is a directory`
      : `there is no file ${name}`;
    throw new LktError('NOT_FOUND', problem, { fix: fix ?? (await nameOne(session)) });
  }
}

/** Returns the fix for a wrong name: some image configs of the workspace. */
async function nameOne({ environment: { cwd, variables } }: Session): Promise<string> {
  const { findTopWithoutGit } = await import('@lkt/git/work-tree');
  const { checkoutConfigs } = await import('@lkt/image/checkout-configs');
  const top = findTopWithoutGit(cwd, variables);
  // An invalid lkt.yml is not what is wrong here.
  const found = top === undefined ? [] : await checkoutConfigs(top, cwd).catch(() => []);
  const shown = found.slice(0, MAX_NAMED).join(', ');
  return shown === '' ? 'name an image config' : `name an image config, such as ${shown}`;
}

const MAX_NAMED = 3;

async function readRemote(
  address: string,
  { environment: { cwd, variables }, signal }: Session,
): Promise<ConfigFile> {
  const { createHttpClient, isLoopback, redactUrl } = await import('@lkt/http');
  const url = new URL(address);
  if (url.protocol !== 'https:' && !isLoopback(url.hostname))
    throw new LktError(
      'UNSUPPORTED',
      `${redactUrl(url)}: http does not protect a config against changes`,
      {
        fix: 'use https',
      },
    );
  await using http = createHttpClient({ env: variables });
  const path = redactUrl(url);
  const content = await http.download(url, { maxSize: MAX_SIZE, signal });
  return {
    path,
    absolute: resolve(cwd, 'web.yml'),
    text: await textOf(content, path),
    isRemote: true,
  };
}

async function textOf(source: AsyncIterable<Uint8Array | string>, name: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk as Uint8Array);
    size += bytes.length;
    if (size > MAX_SIZE)
      throw new LktError('CONFIG_INVALID', `${name} is larger than ${MAX_SIZE / 2 ** 20} MiB`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString();
}
