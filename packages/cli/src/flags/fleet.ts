import { Args, valueFlag } from './options.ts';
import { pullFlags } from './registry.ts';
import { policyFoundFlag } from './trust.ts';

/** The flag that names the file of a fleet. */
export const fleetFileFlag = {
  file: valueFlag('FILE', 'the fleet', { char: 'f', default: 'fleet.yml' }),
};

/** The flag that names the lease of a fleet. */
export const leaseFlag = {
  lease: valueFlag(
    'ADDRESS',
    'where the lease is kept: file:PATH, etcds://HOST:PORT or etcd://127.0.0.1:PORT',
  ),
};

/** The flags of commands that verify and pull images of a fleet. */
export const fleetFlags = {
  ...fleetFileFlag,
  ...pullFlags,
  ...policyFoundFlag,
};

/** The argument of commands about one node. */
export const nodeArg = {
  node: Args.string({ description: 'name of the node, from lkt fleet status', required: true }),
};
