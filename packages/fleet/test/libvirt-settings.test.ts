import { parseYaml } from '@lkt/core';
import { expect, test } from 'vitest';
import { LIBVIRT_SETTINGS } from '../src/providers/libvirt/settings.ts';

const read = (text: string): unknown =>
  LIBVIRT_SETTINGS.read(parseYaml({ path: 'fleet.yml', text }));

test('fills in the defaults', () => {
  expect(read('uri: qemu+ssh://lkt@host.example/system')).toMatchObject({
    pool: 'default',
    address: '127.0.0.1',
    firstPort: 20_000,
    lastPort: 29_999,
    accelerator: 'auto',
  });
});

test.each([
  ['uri: xen:///system', /^fleet\.yml:1:6: uri: "xen:\/\/\/system" is not a URI/],
  ['uri: "qemu:///system; destroy web"', /is not a URI/],
  [
    'uri: qemu:///system\npool: "a; b"',
    /^fleet\.yml:2:7: pool: "a; b" is not the name of a storage/,
  ],
  ['uri: qemu:///system\nnetwork: a\nbridge: b', /network and bridge exclude each other/],
  ['uri: qemu:///system\nfirstPort: 3000\nlastPort: 2000', /lastPort 2000 is smaller/],
  ['uri: qemu:///system\naddress: host', /"host" is not an IPv4 address/],
  ['pool: default', /uri/],
])('rejects %j', (text, message) => {
  expect(() => read(text)).toThrow(message);
});
