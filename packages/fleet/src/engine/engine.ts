import type { Digest } from '@lkt/core';
import type { YamlType } from '@lkt/core';
import type { ImageKeeper } from '../image/kept-images.ts';
import type { Health, Power } from '../node.ts';
import type {
  CallOptions,
  GroupProblem,
  MachineImage,
  MachineTemplate,
  ProviderContext,
  ProviderDirs,
} from '../provider.ts';

/** A spec that an engine gives to nodes: an image, and the rest of what makes a machine. */
export interface EngineSpec {
  /** Hash of image and template, as that of nodes. */
  readonly spec: string;
  readonly image: Digest;
  readonly template: string;
}

/** The desired state of a group. */
export interface EngineRequest extends EngineSpec {
  readonly fleet: string;
  readonly group: string;
  readonly size: number;
  /** Nodes beyond the size while nodes are replaced. */
  readonly surge: number;
  /** Nodes below the size meanwhile. */
  readonly unavailable: number;
  /** How long a node is healthy before it counts. */
  readonly minReadyMs: number;
  readonly startupTimeoutMs: number;
  readonly expireAfterMs?: number;
  readonly rollback: 'off' | 'auto';
  readonly machine: MachineTemplate;
  readonly metadata: Uint8Array | undefined;
  readonly settings: unknown;
}

/** A node that an engine keeps. */
export interface EngineNode {
  readonly id: string;
  readonly name: string;
  /** Undefined if lkt did not write its spec. */
  readonly runs: EngineSpec | undefined;
  readonly power: Power;
  readonly health: Health;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly addresses: readonly string[];
}

/** The last replacement of a group's nodes. */
export interface EngineRoll {
  /** The spec that nodes get; undefined if it is not one of lkt's. */
  readonly spec: string | undefined;
  readonly state: 'running' | 'done' | 'failed' | 'stopped' | 'rollingBack' | 'rolledBack';
  /** The engine's own words. */
  readonly message?: string;
}

/** A group as its engine has it. */
export interface EngineGroup {
  readonly fleet: string;
  readonly group: string;
  /** The lease under which it was last changed. */
  readonly generation: number;
  /** Hash of what {@link Engine.state} wrote: size, limits and ages. */
  readonly stated: string;
  /** Current size; differs from the file if a person changed it. */
  readonly size: number;
  /** The spec of new nodes; undefined if it is not one of lkt's. */
  readonly runs: EngineSpec | undefined;
  readonly roll: EngineRoll | undefined;
  /** The spec to which `Engine.rollBack` returns; undefined without one. */
  readonly earlier?: EngineSpec;
  /** Others who start nodes from the group's template would get an earlier spec. */
  readonly hasOldDefault?: boolean;
  readonly nodes: readonly EngineNode[];
}

/**
 * A service that maintains groups of nodes itself: an auto scaling group, a managed instance group,
 * a scale set. lkt writes the spec of a group, starts and stops its rolls, and watches.
 *
 * The engine keeps all state. Every method throws ProviderError for errors of the service.
 */
export interface Engine extends AsyncDisposable {
  /**
   * Whether the service replaces old nodes. Otherwise a roll replaces all nodes once one is old.
   */
  readonly keepsAges: boolean;
  /** As `Provider.images`. */
  readonly images?: ImageKeeper;
  /** Returns why the engine cannot keep a group; undefined if it can. */
  readonly check: (request: EngineRequest) => GroupProblem | undefined;
  /** As `Provider.prepare`. */
  prepare(image: MachineImage, options: CallOptions): Promise<string>;
  /** Returns all groups of a fleet with all their nodes, or throws. */
  list(fleet: string, options: { readonly signal: AbortSignal }): Promise<readonly EngineGroup[]>;
  /**
   * Creates a group with nodes of `image`, or sets its size and limits. Replaces no node. A second
   * call changes nothing.
   */
  state(
    request: EngineRequest,
    image: string,
    stated: string,
    current: EngineGroup | undefined,
    options: CallOptions,
  ): Promise<void>;
  /**
   * Begins to replace the nodes of another spec. If all have the spec, which an engine that does
   * not keep ages may request, it replaces all nodes.
   */
  roll(
    request: EngineRequest,
    image: string,
    current: EngineGroup,
    options: CallOptions,
  ): Promise<void>;
  /**
   * Begins to return the nodes to the earlier spec, which `request` has. Absent where engines do so
   * by themselves.
   */
  rollBack?(
    request: EngineRequest,
    image: string,
    current: EngineGroup,
    options: CallOptions,
  ): Promise<void>;
  /**
   * Begins to replace all nodes by others of the spec that the group has, which `request` has too,
   * after a rollback. Absent where engines keep ages.
   */
  renew?(
    request: EngineRequest,
    image: string,
    current: EngineGroup,
    options: CallOptions,
  ): Promise<void>;
  /** Makes the spec that the group has the default of its template. Absent without defaults. */
  setDefault?(current: EngineGroup, options: CallOptions): Promise<void>;
  /** Stops the roll: nodes that it replaced stay. */
  stop(current: EngineGroup, options: CallOptions): Promise<void>;
  /** Replaces one node, regardless of its image. */
  replace(current: EngineGroup, node: string, options: CallOptions): Promise<void>;
}

/** A kind of engine; compare `ProviderKind`. */
export interface EngineKind<S = unknown, G = unknown> {
  readonly kind: string;
  readonly about: string;
  readonly settings: YamlType<S>;
  readonly groupSettings: YamlType<G>;
  readonly neededSettings: string;
  readonly bootsFromDisk: true;
  /** As `ProviderKind.place`. */
  place?(settings: S, dirs: ProviderDirs): unknown;
  openEngine(settings: S, context: ProviderContext): Promise<Engine>;
}
