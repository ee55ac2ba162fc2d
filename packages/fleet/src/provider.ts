import { type Digest, LktError, type YamlType } from '@lkt/core';
import type { BootFiles, BootMedium } from '@lkt/machine';
import type { ImageKeeper } from './image/kept-images.ts';
import type { Node } from './node.ts';
import type { NodeLabels } from './node-labels.ts';

/** An image whose digest and signatures were verified, as files of this machine. */
export interface MachineImage {
  readonly digest: Digest;
  readonly files: BootFiles | BootMedium;
  /** The same image as a disk, for providers whose machines boot by firmware. */
  readonly disk?: BootMedium;
}

/** The hardware of the machines of a group. */
export interface MachineTemplate {
  readonly cpus: number;
  /** In MiB. */
  readonly memory: number;
  /** TCP ports of the guest that the controller and clients must reach. */
  readonly publish: readonly number[];
  /** Disks that outlive the node, in the order in which the guest sees them. */
  readonly volumes: readonly Volume[];
}

/** A disk that stays when its node is destroyed, and is attached to the next node of the slot. */
interface Volume {
  /** Unique in the fleet: group, slot and name. */
  readonly name: string;
  /** In bytes; a volume that exists keeps its size. */
  readonly size: number;
}

/** A node to create. */
export interface NodeRequest {
  readonly name: string;
  /** The result of `Provider.prepare` for the image in `labels`. */
  readonly image: string;
  readonly labels: NodeLabels;
  readonly template: MachineTemplate;
  /** Metadata for the guest, in the format of `lkt metadata create`; not secret to the provider. */
  readonly metadata: Uint8Array | undefined;
  /** Settings of the group for this kind of provider, as its `groupSettings` read them. */
  readonly settings: unknown;
}

/** Options of a call that changes something. */
export interface CallOptions {
  /**
   * Generation of the caller's lease. A provider that can compare rejects a smaller one than it has
   * seen, with kind `fenced`.
   */
  readonly generation: number;
  readonly signal: AbortSignal;
}

/** Why a node is destroyed. */
export type DestroyReason =
  | 'image'
  | 'template'
  | 'expired'
  | 'unhealthy'
  | 'failed'
  | 'excess'
  | 'requested'
  | 'rolled back';

/** Abilities of a provider beyond the required ones. */
export interface Capabilities {
  /** Rejects calls of an older generation. Otherwise only deterministic names protect. */
  readonly fencing: boolean;
  /** Has `console`. */
  readonly console: boolean;
  /** Attaches volumes. */
  readonly volumes: boolean;
  /** Delivers metadata. */
  readonly metadata: boolean;
  /**
   * The machines that exist, by name, where none can be created: bare metal. `create` then starts
   * the machine of that name, and `destroy` stops it.
   */
  readonly machines?: readonly string[];
}

/** The machines that a group demands of its provider. */
export interface GroupMachines extends Omit<MachineTemplate, 'volumes'> {
  readonly size: number;
  /** The names of its nodes are fixed. */
  readonly hasSlots: boolean;
  readonly settings: unknown;
}

/** A demand of a group that a provider or an engine does not meet. */
export interface GroupProblem {
  /** The key of the group, and those below it. */
  readonly keys: readonly string[];
  readonly message: string;
  readonly fix: string;
}

/** Maximum size of the console output that a provider returns. */
export const MAX_CONSOLE_BYTES: number = 256 * 1024;

/**
 * Where nodes run. A provider keeps the labels of its nodes, so that any controller can continue at
 * any moment: it has no state in the controller's memory that matters.
 *
 * `packages/fleet/test/provider-conformance.ts` is the contract as tests; every provider passes it.
 *
 * Every method throws ProviderError for what the provider answers, and the signal's reason when it
 * is aborted. After an error, the caller lists again before it does anything else.
 */
export interface Provider extends AsyncDisposable {
  readonly capabilities: Capabilities;
  /** The images of `prepare`, where they take room at the provider. */
  readonly images?: ImageKeeper;
  /** Returns why the provider can never run a group; undefined if it may. Makes no call. */
  readonly check?: (machines: GroupMachines) => GroupProblem | undefined;
  /**
   * Makes an image usable for `create`, and returns the provider's name for it. The same digest
   * gives the same name; a second call transfers nothing. A partial upload is never usable.
   */
  prepare(image: MachineImage, options: CallOptions): Promise<string>;
  /**
   * Starts to create a node, and returns once the provider has accepted it. The name is a lock: a
   * node with this name and spec counts as success, also for two calls at once.
   * @throws ProviderError `conflict` while another node has the name, also a terminating one
   */
  create(request: NodeRequest, options: CallOptions): Promise<void>;
  /**
   * Starts to destroy a node, by its id. A node that does not exist counts as success. Volumes
   * stay. First asks the guest to shut down, for as long as `graceMs`.
   */
  destroy(
    id: string,
    options: CallOptions & { readonly reason: DestroyReason; readonly graceMs: number },
  ): Promise<void>;
  /**
   * Returns all nodes of a fleet, also pending, stopped and terminating ones. Returns every node,
   * or throws: a partial list would look like lost nodes.
   */
  list(fleet: string, options: { readonly signal: AbortSignal }): Promise<readonly Node[]>;
  /** Replaces the labels of a node. @throws ProviderError `missing` */
  label(id: string, labels: NodeLabels, options: CallOptions): Promise<void>;
  /** Returns the last bytes of a node's serial console, at most 256 KiB; empty without any. */
  console?(id: string, options: { readonly signal: AbortSignal }): Promise<Uint8Array>;
  /** Returns the names of volumes that exist, for the report of those without a node. */
  volumes?(fleet: string, options: { readonly signal: AbortSignal }): Promise<readonly string[]>;
}

/** Directories of a provider. */
export interface ProviderDirs {
  /** Directory of fleet.yml; base of relative paths in settings. */
  readonly dir: string;
  /** Directory for the state of providers without a place of their own. */
  readonly stateDir: string;
}

/** The environment of a provider. */
export interface ProviderContext extends ProviderDirs {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly warn: (text: string) => void;
}

/**
 * A kind of provider: the keys below it in fleet.yml, and its implementation. Lives in
 * `src/providers/KIND/`, and is listed in `src/providers/kinds.ts`. `open` loads libraries lazily.
 */
export interface ProviderKind<S = unknown, G = unknown> {
  readonly kind: string;
  /** One line for the schema. */
  readonly about: string;
  /** Type of `providers.NAME.KIND`. */
  readonly settings: YamlType<S>;
  /** Type of `groups.NAME.KIND`, for what only this kind has, such as an instance type. */
  readonly groupSettings?: YamlType<G>;
  /** An example of the settings that every group needs; undefined if none does. */
  readonly neededSettings?: string;
  /**
   * Returns the settings that decide where nodes are: two providers with the same ones would
   * list the same nodes. Undefined: all settings.
   */
  place?(settings: S, dirs: ProviderDirs): unknown;
  /**
   * Returns the settings that decide what a node is, beside its template: a change replaces the
   * nodes. Those with their default values are undefined. Absent: a change replaces none.
   */
  shape?(settings: S): Readonly<Record<string, unknown>>;
  /** Its machines boot by firmware, so images need a disk. */
  readonly bootsFromDisk?: boolean;
  /** As `bootsFromDisk`, where it depends on settings. */
  needsDisk?(settings: S): boolean;
  /** @throws LktError TOOL_MISSING, CONFIG_INVALID, ACCESS_DENIED */
  open(settings: S, context: ProviderContext): Promise<Provider>;
}

/**
 * Why a call failed.
 *
 * - `capacity`: no room now; another node may fit later
 * - `throttled`: too many calls; wait
 * - `denied`: the credentials lack a right
 * - `invalid`: the request can never succeed
 * - `conflict`: another node has the name
 * - `missing`: no node has the id
 * - `fenced`: a controller with a newer generation has taken over
 * - `unavailable`: no answer, or a failure of the provider; the call may have had its effect
 * - `malformed`: an answer that violates the provider's own rules
 */
export type ProviderFailure =
  | 'capacity'
  | 'throttled'
  | 'denied'
  | 'invalid'
  | 'conflict'
  | 'missing'
  | 'fenced'
  | 'unavailable'
  | 'malformed';

/** A failed call. `message` names the provider and the node, never credentials or metadata. */
export class ProviderError extends LktError {
  readonly failure: ProviderFailure;

  constructor(
    failure: ProviderFailure,
    message: string,
    options: { cause?: unknown; fix?: string; detail?: string } = {},
  ) {
    super('PROVIDER_FAILED', message, options);
    this.failure = failure;
  }
}

/** Reports whether a call may succeed later, without any change by a person. */
export function isPassing(error: unknown): error is ProviderError {
  return (
    error instanceof ProviderError &&
    (error.failure === 'unavailable' ||
      error.failure === 'throttled' ||
      error.failure === 'capacity')
  );
}
