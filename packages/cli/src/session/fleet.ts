import { dirname, join } from 'node:path';
import { didYouMean, type Digest, LktError, type YamlValue } from '@lkt/core';
import type {
  Engine,
  EngineGroup,
  FleetConfig,
  GroupConfig,
  GroupImage,
  LeaseKeeper,
  Node,
  OpenedImage,
  Provider,
} from '@lkt/fleet';
import { formatReference } from '@lkt/oci';
import type { NamedImage } from '@lkt/sign';
import type { PullFlags } from '../flags/registry.ts';
import { readConfigFile } from './config-file.ts';
import { isCi, stateSetting } from './environment.ts';
import { imageFetcher } from './registries/registries.ts';
import type { Session } from './session.ts';
import { trustOptions } from './trust.ts';

/** The flags that a fleet needs. */
export interface FleetFlags extends PullFlags {
  readonly file: string;
  readonly lease?: string | undefined;
  readonly 'no-policy-found'?: 'error' | 'ignore' | undefined;
}

/** A fleet whose providers are open; disposing closes them. */
export interface OpenFleet extends AsyncDisposable {
  readonly config: FleetConfig;
  /** Directory of the file; base of the paths in it. */
  readonly dir: string;
  readonly providers: ReadonlyMap<string, Provider>;
  /** Services that keep groups by themselves. */
  readonly engines: ReadonlyMap<string, Engine>;
  readonly lease: LeaseKeeper;
  readonly signal: AbortSignal;
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
  const file = await readConfigFile(
    flags.file,
    session,
    'write a fleet.yml, or name one: --file FILE',
  );
  const { fleetImageConfigs, openLease, parseFleet } = await import('@lkt/fleet');
  const { containingDirs } = await import('@lkt/pkg');
  const dir = dirname(file.absolute);
  const policyDirs = containingDirs(file.absolute);
  const stateDir = join(stateSetting(environment), 'fleet');
  const configs = fleetImageConfigs(file);
  const built = new Map<string, Omit<GroupImage, 'at'>>();
  if (configs.length > 0) {
    const { buildFleetImage } = await import('../fleet/image-config.ts');
    for (const one of configs)
      built.set(
        one.path,
        await buildFleetImage(session, flags, one, dir, policyDirs, join(stateDir, 'builds')),
      );
  }
  const config = parseFleet(file, built, { dir, stateDir });
  await using stack = new AsyncDisposableStack();
  const providers = new Map<string, Provider>();
  const engines = new Map<string, Engine>();
  for (const [name, { kind, settings, at }] of config.providers) {
    const warn = (text: string): void => reporter.emit({ kind: 'warning', text });
    const { variables } = environment;
    const context = { dir, stateDir, variables, signal, warn };
    const located = (error: unknown): never => {
      throw withLocation(at, error);
    };
    if ('openEngine' in kind)
      engines.set(name, stack.use(await kind.openEngine(settings, context).catch(located)));
    else providers.set(name, stack.use(await kind.open(settings, context).catch(located)));
  }
  const imageDir = join(stateDir, 'images');
  const lease = await openLease({
    fleet: config.name,
    address: flags.lease ?? config.lease,
    dir: flags.lease === undefined ? dir : environment.cwd,
    defaultPath: join(stateDir, 'leases', config.name),
    variables: environment.variables,
  });
  const open = stack.move();
  return {
    config,
    dir,
    signal,
    providers,
    engines,
    lease,
    logDir: join(stateDir, 'failed', config.name),
    imageDir,
    openImage: imageOpener(session, flags, policyDirs, imageDir),
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

/** Returns an error with its position in fleet.yml. */
export function withLocation(at: YamlValue, error: unknown): unknown {
  if (!(error instanceof LktError)) return error;
  const { code, message, cause, fix, detail, report } = error;
  const located = at.error(message);
  const more = { detail: detail ?? located.detail, report };
  return new LktError(code, located.message, { cause, fix, ...more });
}

/**
 * Finds a node of a group of the file by its name.
 * @throws LktError NOT_FOUND
 */
export async function findNode(
  fleet: OpenFleet,
  name: string,
): Promise<{ readonly node: Node; readonly provider: Provider }> {
  const nodes = await fleet.nodes();
  const named = nodes.filter(({ node }) => node.name === name);
  // A group that moved to another provider may have left an orphan of the same name.
  const found = named.find((one) => isOfGroup(fleet, one)) ?? named[0];
  if (found !== undefined) {
    requireGroup(fleet, found);
    if (found.node.power === 'terminating')
      throw new LktError('NOT_FOUND', `${name} is being destroyed`, {
        fix: 'list the other nodes: lkt fleet status',
      });
    return found;
  }
  if ((await findEngineNode(fleet, name)) !== undefined)
    throw new LktError('UNSUPPORTED', `${name} is a node of an engine, which drains it by itself`, {
      fix: `replace it: lkt fleet replace ${name}`,
    });
  throw new LktError('NOT_FOUND', `the fleet ${fleet.config.name} has no node ${name}`, {
    fix: didYouMean(
      name,
      nodes.map(({ node }) => node.name),
      'list the nodes: lkt fleet status',
    ),
  });
}

/** Reports whether a node belongs to a group of the file, at the provider of that group. */
function isOfGroup(
  { config, providers }: OpenFleet,
  { node, provider }: { readonly node: Node; readonly provider: Provider },
): boolean {
  const own = config.groups.get(node.labels.group)?.provider;
  return own !== undefined && providers.get(own) === provider;
}

/** @throws LktError NOT_FOUND for an orphan, which no controller would touch */
function requireGroup(
  fleet: OpenFleet,
  found: { readonly node: Node; readonly provider: Provider },
): void {
  if (isOfGroup(fleet, found)) return;
  const { config } = fleet;
  const { node } = found;
  const { group } = node.labels;
  throw new LktError('NOT_FOUND', `${node.name} is an orphan: its provider has no group ${group}`, {
    fix: `add the group ${group} to ${config.file.path} again; with size: 0, its nodes are destroyed`,
  });
}

/** Finds a node that an engine keeps; undefined without one. */
export async function findEngineNode(
  { engines, config, signal }: OpenFleet,
  name: string,
): Promise<{ readonly engine: Engine; readonly group: EngineGroup } | undefined> {
  for (const engine of engines.values())
    for (const group of await engine.list(config.name, { signal }))
      if (group.nodes.some((node) => node.name === name)) return { engine, group };
  return undefined;
}

function imageOpener(
  session: Session,
  flags: FleetFlags,
  policyDirs: readonly string[],
  imageDir: string,
): OpenFleet['openImage'] {
  const accepted = new Set<string>();
  return async (group, digest) => {
    const { tag: _, ...name } = group.image.reference;
    const image = { ...name, digest };
    const store = await session.openStore();
    const located = (error: unknown): never => {
      throw digest === group.image.digest ? withLocation(group.image.at, error) : error;
    };
    // lkt built it, from packages that the policies accept.
    const isBuilt = group.image.config !== undefined && digest === group.image.digest;
    // Policies are about names: the same digest under another one may need other signers.
    const key = formatReference(image);
    if (!isBuilt && !accepted.has(key)) {
      await requireTrusted(session, flags, policyDirs, image).catch(located);
      accepted.add(key);
    }
    const { openMachineImage } = await import('@lkt/fleet');
    const isStored = await store.has(digest);
    const { fetchImage } = imageFetcher(session, flags);
    const fetched = async (): Promise<OpenedImage> => {
      if (!isStored) {
        if (fetchImage === undefined) throw missing(group.image.text);
        await fetchImage(image, [], false).catch((error: unknown) => {
          if (!(error instanceof LktError)) throw error;
          if (error.code === 'NOT_FOUND') throw missing(group.image.text, error);
          throw error.code === 'NETWORK_FAILED' ? unreachable(group.image.text, error) : error;
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

function unreachable(text: string, cause: LktError): LktError {
  return new LktError(
    'NETWORK_FAILED',
    `the image ${text} is not in the store, and its registry does not answer`,
    { cause, fix: cause.fix ?? 'try again when the registry answers, or correct its name' },
  );
}

/** @throws LktError SIGNATURE_INVALID, POLICY_MISSING */
async function requireTrusted(
  session: Session,
  flags: FleetFlags,
  policyDirs: readonly string[],
  image: NamedImage,
): Promise<void> {
  const { policies: find, sources } = await trustOptions(session, flags);
  const policies = (await find?.(policyDirs)) ?? [];
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
