import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';
import { type DetachedFiles, isMachineRunning } from '@lkt/machine';
import type { Endpoint, Node, Power } from '../../node.ts';
import { formatLabels, type NodeLabels, parseLabels } from '../../node-labels.ts';
import { ProviderError } from '../../provider.ts';

/** The file of a node, in the node's directory. */
export const RECORD = 'node.json';

/** The provider's record of a node. */
export interface NodeRecord {
  readonly labels: NodeLabels;
  readonly published: ReadonlyMap<number, Endpoint>;
  /** When the guest is killed if it has not shut down; undefined for a node that is to run. */
  readonly killAt?: number;
}

/** Returns the files of QEMU in a node's directory. */
export function filesOf(dir: string): DetachedFiles {
  return { console: join(dir, 'console'), qmp: join(dir, 'qmp'), pid: join(dir, 'pid') };
}

/** Returns the record as text. */
export function formatRecord({ labels, published, killAt }: NodeRecord): string {
  const ports = [...published].map(([guestPort, endpoint]) => ({ guestPort, ...endpoint }));
  return `${JSON.stringify({ labels: formatLabels(labels), published: ports, killAt })}\n`;
}

/**
 * Reads the record of a node's directory; undefined without one.
 * @throws ProviderError `nonsense` if the file is damaged
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
  const damaged = (cause?: unknown): ProviderError =>
    new ProviderError('nonsense', `${path} is damaged`, {
      cause,
      fix: 'end the QEMU process of this directory, and remove the directory',
    });
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw damaged(cause);
  }
  if (typeof data !== 'object' || data === null) throw damaged();
  const { labels: texts, published, killAt } = data as Partial<Record<string, unknown>>;
  const labels =
    typeof texts === 'object' && texts !== null
      ? parseLabels(texts as Record<string, unknown>)
      : undefined;
  if (labels === undefined || !Array.isArray(published)) throw damaged();
  const ports = published.map((item: unknown) => endpointFrom(item, damaged));
  return {
    labels,
    published: new Map(ports),
    ...(Number.isSafeInteger(killAt) ? { killAt: Number(killAt) } : {}),
  };
}

function endpointFrom(item: unknown, damaged: () => ProviderError): readonly [number, Endpoint] {
  if (typeof item !== 'object' || item === null) throw damaged();
  const { guestPort, host, port } = item as Partial<Record<string, unknown>>;
  if (typeof host !== 'string' || !isPort(port) || !isPort(guestPort)) throw damaged();
  return [guestPort, { host, port }];
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= 65_535;
}

/** Returns a node as the provider lists it. */
export function toNode(dir: string, name: string, record: NodeRecord): Node {
  const { labels, published } = record;
  return { id: name, name, power: powerOf(dir, record), labels, addresses: [], published };
}

function powerOf(dir: string, { killAt }: NodeRecord): Power {
  if (killAt !== undefined) return 'terminating';
  return isMachineRunning(filesOf(dir)) ? 'running' : 'stopped';
}
