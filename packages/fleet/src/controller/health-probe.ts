import { request } from 'node:http';
import { connect } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import type { HealthCheck, HealthSettings } from '../config/health.ts';
import { type Endpoint, endpointOf, type Node } from '../node.ts';
import type { Provider } from '../provider.ts';

/**
 * Checks the health of a running node once.
 * @returns why it is unhealthy; undefined for a healthy node. Contains no bytes of the node.
 */
export async function probeNode(
  node: Node,
  provider: Provider,
  { check, timeoutMs }: HealthSettings,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (check.kind === 'console') return probeConsole(node, provider, check, signal);
  const { port } = check;
  const endpoint = endpointOf(node, port);
  if (endpoint === undefined) return `it has no address yet at which port ${port} is reachable`;
  const { host } = endpoint;
  const at = `${host.includes(':') ? `[${host}]` : host}:${endpoint.port}`;
  if (check.kind === 'http') {
    const problem = await probePage(endpoint, check.path, timeoutMs);
    return problem === undefined ? undefined : `GET http://${at}${check.path}: ${problem}`;
  }
  if (!(await mayAnswer(node, port, provider, signal)))
    return 'its console does not show the end of the boot';
  const problem = await probePort(endpoint, timeoutMs);
  return problem === undefined ? undefined : `TCP ${at}: ${problem}`;
}

/**
 * Compares the last matching lines of the console. Providers return only its end, so a node that
 * was ready counts as having written the text.
 */
async function probeConsole(
  node: Node,
  provider: Provider,
  { text, unhealthy }: Extract<HealthCheck, { readonly kind: 'console' }>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const wasReady = node.labels.ready !== undefined;
  if (wasReady && unhealthy === undefined) return undefined;
  const bytes = Buffer.from((await provider.console?.(node.id, { signal })) ?? []);
  const last = bytes.lastIndexOf(text);
  const failed = unhealthy === undefined ? -1 : bytes.lastIndexOf(unhealthy);
  if (failed > last) return `its console shows ${JSON.stringify(unhealthy)}`;
  if (last >= 0 || wasReady) return undefined;
  if (bytes.length === 0) return 'its console is empty';
  return `its console does not show ${JSON.stringify(text)}`;
}

/**
 * Reports whether a connection proves anything. While the guest boots, QEMU accepts connections to
 * a forwarded port and keeps them; the console shows when the boot is over.
 */
async function mayAnswer(
  node: Node,
  port: number,
  provider: Provider,
  signal: AbortSignal,
): Promise<boolean> {
  if (node.labels.ready !== undefined || !node.published.has(port)) return true;
  const bytes = await provider.console?.(node.id, { signal });
  return bytes === undefined || BOOT_ENDED.test(Buffer.from(bytes).toString('latin1'));
}

/** The end of a boot, also with failures. */
const BOOT_ENDED = /lkt: boot (?:complete|ended)/;

/**
 * Requires that a port accepts a connection and keeps it: a forwarded port accepts one even if
 * nothing listens in the guest, and closes it at once.
 */
async function probePort(endpoint: Endpoint, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(endpoint);
    const end = (problem?: string): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(timeoutMs, () => end(noAnswer(timeoutMs)));
    socket.once('error', (error) => end(failureText(error)));
    socket.once('close', () => end('the connection was closed at once'));
    socket.once('data', () => end());
    socket.once('connect', () => {
      setTimeout(end, Math.min(STAY_MS, timeoutMs / 2)).unref();
    });
    socket.resume();
  });
}

/** Minimum time that a connection stays open. */
const STAY_MS = 500;

async function probePage(
  { host, port }: Endpoint,
  path: string,
  timeoutMs: number,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const sent = request({ host, port, path, agent: false, timeout: timeoutMs }, (response) => {
      const { statusCode = 0 } = response;
      response.destroy();
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `status ${statusCode}`);
    });
    sent.once('timeout', () => {
      resolve(noAnswer(timeoutMs));
      sent.destroy();
    });
    sent.once('error', (error) => resolve(failureText(error)));
    sent.once('close', () => resolve('the connection was closed without an answer'));
    sent.end();
  });
}

function noAnswer(timeoutMs: number): string {
  return `no answer in ${timeoutMs / 1000} s`;
}

/** Returns the system's error message: Node's repeats the address, or is empty. */
function failureText(error: NodeJS.ErrnoException): string {
  const [first = error] = error instanceof AggregateError ? (error.errors as Error[]) : [];
  const { errno = 0, message } = first as NodeJS.ErrnoException;
  return getSystemErrorMap().get(errno)?.[1] ?? message;
}
