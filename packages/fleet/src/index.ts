export {
  type ConfiguredProvider,
  FLEET_FILE,
  type FleetConfig,
  type FleetImageConfig,
  fleetImageConfigs,
  fleetSchema,
  type GroupConfig,
  type GroupImage,
  parseFleet,
} from './config/fleet-yml.ts';
export { requirePrograms } from './config/programs.ts';
export { FleetController, type FleetPass } from './controller/controller.ts';
export { drainNode } from './controller/drains.ts';
export { type FleetEvent } from './events/event.ts';
export type { Engine, EngineGroup } from './engine/engine.ts';
export { EventHooks } from './events/event-hooks.ts';
export { type GroupPass } from './controller/group-controller.ts';
export { type Lease, type LeaseKeeper } from './lease/lease.ts';
export { openLease } from './lease/lease-address.ts';
export { openMachineImage, type OpenedImage, writeMachineImage } from './image/machine-image.ts';
export { type Node } from './node.ts';
export { formatLabels, type NodeLabels, parseLabels } from './node-labels.ts';
export { type Provider, ProviderError } from './provider.ts';
export { requireSameNode } from './providers/same-node.ts';
export { type ClassifiedNode } from './reconcile/classify.ts';
export { type Action, type GroupStatus } from './reconcile/decision.ts';
export { expiredInBoot } from './reconcile/pass.ts';
export { type GroupSpec, specHash } from './reconcile/group-spec.ts';
export { earlierImage } from './reconcile/target.ts';
