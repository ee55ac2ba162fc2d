import { ProviderError } from '../../provider.ts';
import { objectOf } from '../../rest/json-object.ts';
import type { Machine } from '../metal/power-control.ts';

/** A machine with a Redfish service at `url`. */
export interface RedfishMachine extends Machine {
  readonly url: string;
  readonly system?: string;
}

/** A link stays on the server. */
const LINK = /^\/redfish\/v1\/[\w./#~@-]{1,500}$/;

/**
 * Returns a link to another resource. @throws ProviderError `malformed` for one that points outside
 * the service
 */
export function linkOf({ url }: RedfishMachine, value: unknown): string {
  if (typeof value === 'string' && LINK.test(value) && !value.includes('..')) return value;
  throw new ProviderError('malformed', `${url} has a link that points outside the service`);
}

/** Returns the links of a list, at most 256. */
export function linksOf(machine: RedfishMachine, value: unknown): readonly string[] {
  const items = Array.isArray(value) ? (value as readonly unknown[]) : [];
  return items.slice(0, 256).map((one) => linkOf(machine, objectOf(one)['@odata.id']));
}
