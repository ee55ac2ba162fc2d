export {
  type ConfiguredProvider,
  FLEET_FILE,
  type FleetConfig,
  fleetSchema,
  type GroupConfig,
  parseFleet,
} from './config/fleet-yml.ts';
export { FleetController, type FleetPass } from './controller/controller.ts';
export { drainNode, runProgram } from './controller/drains.ts';
export { type FleetEvent } from './controller/events.ts';
export { type GroupPass } from './controller/group-controller.ts';
export { fileLease, type Lease, type LeaseKeeper } from './controller/lease.ts';
export { openMachineImage, type OpenedImage, writeMachineImage } from './image/machine-image.ts';
export { type Node } from './node.ts';
export { type NodeLabels } from './node-labels.ts';
export { type Provider, ProviderError } from './provider.ts';
export { type ClassifiedNode } from './reconcile/classify.ts';
export { type Action, type GroupStatus } from './reconcile/decision.ts';
export { type GroupSpec, specHash } from './reconcile/group-spec.ts';
export { earlierImage } from './reconcile/target.ts';
