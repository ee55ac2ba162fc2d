import { dirname, join } from 'node:path';
import { didYouMean, type Digest, LktError } from '@lkt/core';
import type {
  FleetConfig,
  FleetEvent,
  GroupConfig,
  LeaseKeeper,
  Node,
  OpenedImage,
  Provider,
} from '@lkt/fleet';
import type { PullFlags } from '../flags/registry.ts';
import { readConfigFile } from './config-file.ts';
import { isCi, stateSetting } from './environment.ts';
import { imageFetcher } from './registries.ts';
import type { Session } from './session.ts';
import { trustOptions } from './trust.ts';

/** The flags that a fleet needs. */
export interface FleetFlags extends PullFlags {
  readonly file: string;
  readonly 'no-policy-found'?: 'error' | 'ignore' | undefined;
}

/** A fleet whose providers are open; disposing closes them. */
export interface OpenFleet extends AsyncDisposable {
  readonly config: FleetConfig;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly lease: LeaseKeeper;
  /** Directory for the consoles of failed nodes. */
  readonly logDir: string;
  /** Directory of opened images. */
  readonly imageDir: string;
  /** Verifies an image against the trust policies, pulls it if needed, and opens it. */
  readonly openImage: (group: GroupConfig, digest: Digest) => Promise<OpenedImage>;
  /** Lists the nodes of all providers, each with its provider. */
  nodes(): Promise<readonly { readonly node: Node; readonly provider: Provider }[]>;
}

/**
 * Reads a fleet.yml, and opens its providers.
 * @throws LktError CONFIG_INVALID with line and column; NOT_FOUND; the errors of providers
 */
export async function openFleet(session: Session, flags: FleetFlags): Promise<OpenFleet> {
  const { environment, reporter, signal } = session;
  const file = await readConfigFile(flags.file, session);
  const { fileLease, parseFleet } = await import('@lkt/fleet');
  const config = parseFleet(file);
  const dir = dirname(file.absolute);
  const stateDir = join(stateSetting(environment), 'fleet');
  await using stack = new AsyncDisposableStack();
  const providers = new Map<string, Provider>();
  for (const [name, { kind, settings }] of config.providers) {
    const warn = (text: string): void => reporter.emit({ kind: 'warning', text });
    const { variables } = environment;
    const context = { dir, stateDir, variables, signal, warn };
    providers.set(name, stack.use(await kind.open(settings, context)));
  }
  const imageDir = join(stateDir, 'images');
  const open = stack.move();
  return {
    config,
    providers,
    lease: fileLease(join(stateDir, 'leases', config.name)),
    logDir: join(stateDir, 'failed', config.name),
    imageDir,
    openImage: imageOpener(session, flags, dir, imageDir),
    nodes: async () => {
      const found: { readonly node: Node; readonly provider: Provider }[] = [];
      for (const provider of providers.values())
        for (const node of await provider.list(config.name, { signal }))
          found.push({ node, provider });
      return found;
    },
    [Symbol.asyncDispose]: async () => open.disposeAsync(),
  };
}

/**
 * Finds a node by its name.
 * @throws LktError NOT_FOUND
 */
export async function findNode(
  fleet: OpenFleet,
  name: string,
): Promise<{ readonly node: Node; readonly provider: Provider }> {
  const nodes = await fleet.nodes();
  const found = nodes.find(({ node }) => node.name === name);
  if (found !== undefined) return found;
  throw new LktError('NOT_FOUND', `the fleet ${fleet.config.name} has no node ${name}`, {
    fix: didYouMean(
      name,
      nodes.map(({ node }) => node.name),
      'list the nodes: lkt fleet status',
    ),
  });
}

function imageOpener(
  session: Session,
  flags: FleetFlags,
  dir: string,
  imageDir: string,
): OpenFleet['openImage'] {
  const accepted = new Set<string>();
  return async (group, digest) => {
    const { domain, path } = group.image.reference;
    const image = { domain, path, digest };
    const store = await session.openStore();
    const located = (error: unknown): never => {
      if (!(error instanceof LktError) || digest !== group.image.digest) throw error;
      const { code, message, fix, detail } = error;
      const at = group.image.at.error(message, fix === undefined ? {} : { fix });
      throw new LktError(code, at.message, {
        cause: error.cause,
        fix,
        detail: detail ?? at.detail,
      });
    };
    if (!accepted.has(`${path} ${digest}`)) {
      await requireTrusted(session, flags, dir, image).catch(located);
      accepted.add(`${path} ${digest}`);
    }
    const { openMachineImage } = await import('@lkt/fleet');
    const isStored = await store.has(digest);
    const { fetchImage } = imageFetcher(session, flags);
    const fetched = async (): Promise<OpenedImage> => {
      if (!isStored) {
        if (fetchImage === undefined) throw missing(group.image.text);
        await fetchImage(image, [], false).catch((error: unknown) => {
          throw error instanceof LktError && error.code === 'NETWORK_FAILED'
            ? missing(group.image.text, error)
            : error;
        });
      }
      return openMachineImage(store, digest, imageDir);
    };
    return fetched().catch(located);
  };
}

function missing(text: string, cause?: unknown): LktError {
  return new LktError('NOT_FOUND', `the image ${text} is neither in the store nor in a registry`, {
    cause,
    fix: 'correct the digest, or make the image: lkt build, then lkt fleet image',
  });
}

/** @throws LktError SIGNATURE_INVALID, POLICY_MISSING */
async function requireTrusted(
  session: Session,
  flags: FleetFlags,
  dir: string,
  image: { readonly domain: string; readonly path: string; readonly digest: Digest },
): Promise<void> {
  const { policies: find, sources } = await trustOptions(session, flags);
  const policies = (await find?.([dir])) ?? [];
  if (policies.length === 0) {
    const isRequired = flags['no-policy-found'] ?? (isCi(session.environment) ? 'error' : 'ignore');
    if (isRequired === 'ignore') return;
    throw new LktError('POLICY_MISSING', `no trust policy applies to ${image.path}`, {
      fix: 'write a trust.yml beside fleet.yml, or give --trust FILE',
    });
  }
  const { verifyImageReport } = await import('@lkt/image/image-report');
  const report = await verifyImageReport(image, policies, sources, { signal: session.signal });
  if (report.accepted) return;
  throw new LktError(
    'SIGNATURE_INVALID',
    `${report.reference} is not trusted: ${report.reasons[0] ?? ''}`,
    { fix: 'sign it: lkt pkg sign, or name an image that is signed' },
  );
}

/** Writes events as JSON lines to standard error, and runs the program of the file for each. */
export function eventSink(
  fleet: FleetConfig,
  write: (line: string) => void,
  signal: AbortSignal,
): { readonly onEvent: (event: FleetEvent) => void; readonly settled: () => Promise<void> } {
  let last: Promise<void> = Promise.resolve();
  const tell = async (line: string, event: FleetEvent, before: Promise<void>): Promise<void> => {
    // One after the other, so that the program sees them in order.
    await before;
    const { runProgram } = await import('@lkt/fleet');
    const limit = AbortSignal.any([signal, AbortSignal.timeout(EVENT_MS)]);
    const variables = { LKT_EVENT: event.kind, LKT_NODE: event.node ?? '' };
    await runProgram(fleet.eventCommand ?? [], variables, `${line}\n`, limit).catch(
      (error: unknown) => {
        if (signal.aborted) return;
        write(JSON.stringify({ kind: 'error', message: `event program: ${String(error)}` }));
      },
    );
  };
  return {
    settled: async () => last,
    onEvent: (event) => {
      const line = JSON.stringify(event);
      write(line);
      if (fleet.eventCommand !== undefined) last = tell(line, event, last);
    },
  };
}

const EVENT_MS = 30_000;
