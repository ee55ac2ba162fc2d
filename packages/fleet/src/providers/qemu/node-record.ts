import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';
import { type DetachedFiles, isMachineRunning } from '@lkt/machine';
import type { Node, Power } from '../../node.ts';
import { ProviderError } from '../../provider.ts';
import { type NodeRecord, parseNodeRecord } from '../node-record.ts';

/** The file of a node, in the node's directory. */
export const RECORD = 'node.json';

/** Returns the files of QEMU in a node's directory. */
export function filesOf(dir: string): DetachedFiles {
  return { console: join(dir, 'console'), qmp: join(dir, 'qmp'), pid: join(dir, 'pid') };
}

/**
 * Reads the record of a node's directory; undefined without one.
 * @throws ProviderError `malformed` if the file is damaged
 */
export async function readRecord(dir: string): Promise<NodeRecord | undefined> {
  const path = join(dir, RECORD);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
  const record = parseNodeRecord(text);
  if (record !== undefined) return record;
  throw new ProviderError('malformed', `${path} is damaged`, {
    fix: 'end the QEMU process of this directory, and remove the directory',
  });
}

/**
 * Returns a node as the provider lists it.
 * @param known addresses on the bridge by hardware address
 */
export function toNode(
  dir: string,
  name: string,
  record: NodeRecord,
  known: ReadonlyMap<string, string>,
): Node {
  const { labels, published, mac } = record;
  const address = mac === undefined ? undefined : known.get(mac);
  const addresses = address === undefined ? [] : [address];
  return { id: name, name, power: powerOf(dir, record), labels, addresses, published };
}

function powerOf(dir: string, { killAt }: NodeRecord): Power {
  if (killAt !== undefined) return 'terminating';
  return isMachineRunning(filesOf(dir)) ? 'running' : 'stopped';
}
