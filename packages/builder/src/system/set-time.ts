import { futimesSync, lutimesSync } from 'node:fs';

/**
 * Sets the access and modification time of a path, or of an open file; does not follow a link.
 * @param seconds since 1970, or before it if negative
 */
export function setTime(file: Buffer | string | number, seconds: number): void {
  // Node reads a negative number as the current time, but not a negative Date.
  const time = seconds < 0 ? new Date(seconds * 1000) : seconds;
  if (typeof file === 'number') futimesSync(file, time, time);
  else lutimesSync(file, time, time);
}
