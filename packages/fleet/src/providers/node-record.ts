import type { Endpoint } from '../node.ts';
import { formatLabels, type NodeLabels, parseLabels } from '../node-labels.ts';

/**
 * A node's record beside it, for providers of machines on a host: one line of JSON without secrets.
 */
export interface NodeRecord {
  readonly labels: NodeLabels;
  readonly published: ReadonlyMap<number, Endpoint>;
  /** Hardware address of the card, for providers that find the node's address by it. */
  readonly mac?: string;
  /** When the guest is killed if it has not shut down; undefined for a node that is to run. */
  readonly killAt?: number;
}

const MAX_RECORD_CHARS = 16_384;
/** Maximum difference between the clocks of two controllers. */
const MAX_SKEW_MS = 60_000;
const MAX_HOST_CHARS = 255;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;

/**
 * Reports whether the time for a guest's shutdown is over. A deadline that is further away than
 * `graceMs` was set by a clock that ran ahead, and counts as over.
 */
export function hasGraceEnded(killAt: number, graceMs: number, now: number = Date.now()): boolean {
  return now >= killAt || killAt - now > graceMs + MAX_SKEW_MS;
}

/** Returns the record as text. */
export function formatNodeRecord({ labels, published, mac, killAt }: NodeRecord): string {
  const ports = [...published].map(([guestPort, endpoint]) => ({ guestPort, ...endpoint }));
  return JSON.stringify({ labels: formatLabels(labels), published: ports, mac, killAt });
}

/** Parses a text that {@link formatNodeRecord} returned; undefined if it is damaged. */
export function parseNodeRecord(text: string): NodeRecord | undefined {
  if (text.length > MAX_RECORD_CHARS) return undefined;
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof data !== 'object' || data === null) return undefined;
  const { labels: texts, published, mac, killAt } = data as Partial<Record<string, unknown>>;
  if (typeof texts !== 'object' || texts === null || !Array.isArray(published)) return undefined;
  const labels = parseLabels(texts as Record<string, unknown>);
  const ports = published.map(parsePort);
  if (labels === undefined || !ports.every((port) => port !== undefined)) return undefined;
  if (mac !== undefined && (typeof mac !== 'string' || !MAC.test(mac))) return undefined;
  if (killAt !== undefined && !Number.isSafeInteger(killAt)) return undefined;
  return {
    labels,
    published: new Map(ports),
    ...(mac === undefined ? {} : { mac }),
    ...(killAt === undefined ? {} : { killAt: Number(killAt) }),
  };
}

function parsePort(item: unknown): readonly [number, Endpoint] | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { guestPort, host, port } = item as Partial<Record<string, unknown>>;
  if (typeof host !== 'string' || host === '' || host.length > MAX_HOST_CHARS) return undefined;
  if (!isPort(port) || !isPort(guestPort)) return undefined;
  return [guestPort, { host, port }];
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= 65_535;
}
