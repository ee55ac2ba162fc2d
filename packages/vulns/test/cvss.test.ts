import { expect, test } from 'vitest';
import { calculateCvss } from '../src/cvss.ts';

test.each([
  ['CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H', 'critical'],
  ['CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N', 'medium'],
  ['AV:N/AC:L/Au:N/C:P/I:P/A:P', 'high'],
  ['CVSS:3.1/AV:N', 'unknown'],
  ['7.5', 'unknown'],
  ['', 'unknown'],
  ['__proto__', 'unknown'],
  ['constructor', 'unknown'],
])('the severity of "%s" is %s', (vector, severity) => {
  expect(calculateCvss(vector)).toBe(severity);
});
