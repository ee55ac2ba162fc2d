import { expect, test } from 'vitest';
import { findOwner, findUser, homeOf, ownerKey } from '../src/copy/owners.ts';

const accounts = {
  passwd:
    'root:x:0:0:root:/root:/bin/sh\njoe:x:1000:1001::/home/joe:/bin/sh\nodd:x:y:z\n12:x:77:78::/twelve:\n',
  group: 'root:x:0:\nstaff:x:50:ann,joe\njoe:x:1001:\nwheel:x:10:joe\n',
};

test.each([
  ['joe', { uid: 1000, gid: 1001 }],
  ['joe:', { uid: 1000, gid: 1001 }],
  ['1000', { uid: 1000, gid: 1000 }],
  ['joe:staff', { uid: 1000, gid: 50 }],
  ['5', { uid: 5, gid: 5 }],
  ['5:6', { uid: 5, gid: 6 }],
  [':staff', { uid: 0, gid: 50 }],
  ['nobody', undefined],
  ['joe:nogroup', undefined],
  ['odd', undefined],
  ['4294967295', undefined],
])('--chown=%s', (text, expected) => {
  expect(findOwner(text, accounts)).toEqual(expected);
});

test.each([
  ['', { uid: 0, gid: 0, groups: [0] }],
  ['joe', { uid: 1000, gid: 1001, groups: [1001, 50, 10] }],
  ['1000', { uid: 1000, gid: 1001, groups: [1001, 50, 10] }],
  ['joe:staff', { uid: 1000, gid: 50, groups: [50] }],
  ['77:5', { uid: 77, gid: 5, groups: [5] }],
  ['12345', { uid: 12_345, gid: 0, groups: [0] }],
  ['ghost', undefined],
])('USER %s', (text, expected) => {
  expect(findUser(text, accounts)).toEqual(expected);
});

test('includes the parts of an owner in the key that depend on it', () => {
  const texts = ['joe', '7', '7:8', 'joe:staff', ':staff', ''];
  expect(texts.map(ownerKey)).toEqual(['joe with its group', ...texts.slice(1)]);
});

test('accepts only numbers in an image without accounts', () => {
  expect(findUser('', { passwd: '', group: '' })).toEqual({
    uid: 0,
    gid: 0,
    groups: [0],
  });
  expect(findOwner('7', { passwd: '', group: '' })).toEqual({ uid: 7, gid: 7 });
});

test.each([
  [1000, '/home/joe'],
  [77, '/twelve'],
  [5, '/'],
])('returns the home of %i', (uid, home) => {
  expect(homeOf({ uid, gid: 0, groups: [] }, `${accounts.passwd}jim:x:1000:1::/home/jim:\n`)).toBe(
    home,
  );
});

test('reads ids with leading zeros as numbers', () => {
  const padded = { passwd: 'jim:x:00012:8::/home/jim:\n', group: 'g:x:20:jim\n' };
  const jim = { uid: 12, gid: 8, groups: [8, 20] };
  expect(findUser('jim', padded)).toEqual(jim);
  expect(findUser('12', padded)).toEqual(jim);
  expect(homeOf(jim, padded.passwd)).toBe('/home/jim');
});
