import type { EngineKind } from '../engine/engine.ts';
import type { ProviderKind } from '../provider.ts';
import { asg } from './asg/kind.ts';
import { aws } from './aws/kind.ts';
import { azure } from './azure/kind.ts';
import { gcp } from './gcp/kind.ts';
import { ipmi } from './ipmi/kind.ts';
import { libvirt } from './libvirt/kind.ts';
import { netboot } from './netboot/kind.ts';
import { openstack } from './openstack/kind.ts';
import { qemu } from './qemu/kind.ts';
import { redfish } from './redfish/kind.ts';

/**
 * The kinds of providers, in the order of the schema. A new one is a folder beside `qemu/` with its
 * `kind.ts`, and a line here.
 */
export const PROVIDER_KINDS: readonly (ProviderKind | EngineKind)[] = [
  qemu,
  libvirt,
  aws,
  asg,
  gcp,
  azure,
  openstack,
  ipmi,
  redfish,
  netboot,
];
