import { LktError } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import { checkSettings } from '../../src/runtime/check-settings.ts';
import { imageDefaults } from '../../src/runtime/image-defaults.ts';
import { mergeSettings } from '../../src/runtime/settings.ts';
import { parseConfig } from '../support.ts';

/** Checks a service with settings of its own and of its image's label. */
function check(
  own: string,
  label = '{}',
  command: readonly string[] = ['/web'],
): readonly string[] {
  const text = `services:\n  - name: web\n    image: acme/web:1\n    ${own}\n`;
  const [container] = parseConfig({ path: 'a.yml', text }).services;
  if (container === undefined) throw new Error('no service');
  const defaults = imageDefaults('acme/web:1', {
    Cmd: [...command],
    Labels: { 'org.mobyproject.config': label },
  });
  return checkSettings(container, mergeSettings(container.settings, defaults));
}

const MAP = '[{containerID: 0, hostID: 100000, size: 9}]';

describe('rejects what runc and crun never start', () => {
  it.each([
    ['hostname: box', '{"uts": "host"}', '4:15: services[0].hostname: the host name box'],
    ['uts: host', '{"uts": "new", "hostname": "box"}', '4:10: services[0].uts: the host name box'],
    [
      'net: host',
      '{"hostname": "box"}',
      "2:11: services[0].name: the host name box would be the machine's (from acme/web:1)",
    ],
    ['sysctl: {net.ipv4.ip_forward: "1"}', '{}', '4:35: services[0].sysctl.net.ipv4.ip_forward: '],
    ['sysctl: {net/ipv4/ip_forward: "1"}', '{}', 'runc does not set net/ipv4/ip_forward'],
    [
      'net: host',
      '{"net": "new", "sysctl": {"net.core.somaxconn": "9"}}',
      'does not set net.core.somaxconn (from acme/web:1)',
    ],
    ['sysctl: {kernel.shmmax: "9"}', '{"ipc": "host"}', 'does not set kernel.shmmax'],
    ['sysctl: {fs.mqueue.msg_max: "9"}', '{"ipc": "host"}', 'does not set fs.mqueue.msg_max'],
    ['sysctl: {kernel.hostname: a}', '{"uts": "new"}', 'does not set kernel.hostname'],
    ['sysctl: {kernel.domainname: a}', '{}', 'does not set kernel.domainname'],
    ['sysctl: {vm.swappiness: "1"}', '{"net": "new"}', 'does not set vm.swappiness'],
    ['userns: new', '{}', 'the user namespace has no uidMappings and gidMappings'],
    [`uidMappings: ${MAP}`, '{"userns": "new"}', 'the user namespace has no gidMappings'],
    [
      'uidMappings: []',
      `{"userns": "new", "uidMappings": ${MAP.replaceAll(/(\w+):/g, '"$1":')}}`,
      'the user namespace has no uidMappings and gidMappings',
    ],
  ])('%s, label %s', (own, label, message) => {
    expect(() => check(own, label)).toThrow(message);
    expect(() => check(own, label)).toThrow(LktError);
  });

  it.each([
    ['net: host', [], '2:11: services[0].name: the container has no command'],
    ['command: []', ['/web'], '4:14: services[0].command: the container has no command'],
  ])('%s, CMD %j', (own, command, message) => {
    expect(() => check(own, '{}', command)).toThrow(message);
  });
});

it.each([
  ['hostname: box', '{"uts": "new"}'],
  ['hostname: box\n    uts: /run/uts', '{}'],
  ['net: new', '{"sysctl": {"net.ipv4.ip_forward": "1"}}'],
  ['net: none', '{"sysctl": {"net.ipv4.ip_forward": "1"}}'],
  ['net: /run/netns/a', '{"sysctl": {"net.ipv4.ip_forward": "1"}}'],
  // lkt/init adds an IPC namespace.
  ['net: host', '{"sysctl": {"kernel.shmmax": "9", "fs.mqueue.msg_max": "9"}}'],
  ['uts: new', '{"sysctl": {"kernel.domainname": "a"}}'],
  [`userns: new\n    uidMappings: ${MAP}\n    gidMappings: ${MAP}`, '{}'],
  ['userns: /run/user', '{}'],
  // gVisor has its own kernel.
  ['runtimeClass: gvisor', '{"sysctl": {"vm.swappiness": "1"}, "hostname": "a"}'],
])('accepts %j, label %s', (own, label) => {
  expect(check(own, label)).toEqual([]);
});

it('warns about mappings without a user namespace', () => {
  expect(check(`uidMappings: ${MAP}`)).toEqual([
    'a.yml:4:18: services[0].uidMappings: the mapping has no effect without "userns: new"',
  ]);
});
