export { type Endpoint, endpointOf, type Health, type Node, type Power } from './node.ts';
export { formatLabels, NAME, type NodeLabels, parseLabels } from './node-labels.ts';
export {
  type CallOptions,
  type Capabilities,
  type DestroyReason,
  type MachineImage,
  type MachineTemplate,
  type NodeRequest,
  type Provider,
  type ProviderContext,
  ProviderError,
  type ProviderFailure,
  type ProviderKind,
  type Volume,
} from './provider.ts';
export { PROVIDER_KINDS } from './providers/kinds.ts';
