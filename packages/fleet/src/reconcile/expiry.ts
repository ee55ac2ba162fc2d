import type { GroupSpec } from './group-spec.ts';

/**
 * Returns when a node expires; undefined if nodes of the group never do. Jitter spreads the expiry
 * of nodes of equal age, so that they are not replaced all at once.
 */
export function expiryOf(
  { expireAfterMs, jitter }: Pick<GroupSpec, 'expireAfterMs' | 'jitter'>,
  name: string,
  created: number,
): number | undefined {
  if (expireAfterMs === undefined) return undefined;
  return created + Math.round(expireAfterMs * (1 - jitter * fractionOf(name, created)));
}

/** Returns a number from 0 to 1 that depends on a node, by FNV-1a and a final mix. */
function fractionOf(name: string, created: number): number {
  let state = 0x81_1c_9d_c5;
  for (let index = 0; index < name.length; index += 1)
    state = Math.imul(state ^ name.charCodeAt(index), 0x01_00_01_93);
  state = Math.imul(state ^ (created % 0x7f_ff_ff_ff), 0x01_00_01_93);
  state = Math.imul(state ^ (state >>> 16), 0x85_eb_ca_6b);
  return ((state ^ (state >>> 13)) >>> 0) / 0xff_ff_ff_ff;
}
