import { list, record, required, text, withDefault, type YamlType } from '@lkt/core';
import { duration } from './values.ts';

const INTERVAL_MS = 3_600_000;
const TIMEOUT_MS = 30_000;

/** How a node is attested. Times are in milliseconds. */
export interface AttestSettings {
  readonly command: readonly string[];
  readonly interval: number;
  readonly timeout: number;
}

/** `groups.NAME.attest`. */
export const ATTEST: YamlType<AttestSettings> = record({
  command: required(
    list(text(), { isFilled: true }),
    'a program that ends with 0 if the node proves that it runs its image, and with 1 if it does not (LKT_NODE, LKT_GROUP, LKT_IMAGE, LKT_ADDRESS, LKT_ENDPOINTS)',
  ),
  interval: withDefault(duration, INTERVAL_MS, 'time until a node is attested again'),
  timeout: withDefault(duration, TIMEOUT_MS, 'time for the program'),
});
