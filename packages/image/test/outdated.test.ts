import { expect, it } from 'vitest';
import { laterTag } from '../src/pins/outdated.ts';

it.each([
  ['1.25', ['1.26', '1.3', '1.26.1', 'latest'], '1.26'],
  ['1.9-alpine', ['1.10-alpine', '1.11', '1.10-slim'], '1.10-alpine'],
  ['v2.0.0', ['v2.0.0', 'v1.9.9', '2.0.1'], undefined],
  ['latest', ['1'], undefined],
  ['71f927d1dde925a29aac23d6511b012b6929262c', ['9'], undefined],
  ['3', ['4', '99999999999999999999'], '4'],
])('laterTag(%s) of %j is %s', (tag, tags, later) => {
  expect(laterTag(tag, tags)).toBe(later);
});
