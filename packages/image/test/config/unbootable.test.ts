import { LktError } from '@lkt/core';
import { parseLabel } from '@lkt/pkg';
import { describe, expect, it } from 'vitest';
import type { SystemConfig } from '../../src/config/config.ts';
import { parseConfig } from '../support.ts';

function parse(setting: string): SystemConfig {
  const text = `services:\n  - name: svc\n    image: img:1\n    ${setting}\n`;
  return parseConfig({ path: 'a.yml', text });
}

const map = (...ranges: readonly string[]): string =>
  `uidMappings: [${ranges
    .map((range) => range.split(' '))
    .map(([id, host, size]) => `{containerID: ${id}, hostID: ${host}, size: ${size}}`)
    .join(', ')}]`;
const device = (fields: string): string => `devices: [{${fields}, mode: "600"}]`;
const resources = (fields: string): string => `resources: {${fields}}`;
const runtime = (fields: string): string => `runtime: {${fields}}`;
const network = (fields: string): string => runtime(`interfaces: [{${fields}}]`);
const many = Array.from({ length: 341 }, (_, index) => `${index} ${index} 1`);

const file = (uid: string): string => `files: [{path: a, contents: b, uid: ${uid}}]`;

/** Settings with which runc, crun or lkt/init fail, or do something other than written. */
const REJECTED: readonly (readonly [setting: string, message: string])[] = [
  ['cwd: work', '4:10: services[0].cwd: "work" is not an absolute path'],
  ['cwd: "/a\\0b"', 'is not an absolute path'],
  ['command: [/a, "b\\0c"]', '4:19: services[0].command[1]: it contains a NUL'],
  [`command: [/a, ${'x'.repeat(131_072)}]`, 'it has 131072 bytes'],
  ['env: [FOO]', '4:11: services[0].env[0]: "FOO" has no "="'],
  ['env: [""]', 'services[0].env[0]: "" has no "="'],
  ['env: ["=x"]', 'services[0].env[0]: "=x" has no name'],
  ['env: ["A=b\\0c"]', 'it contains a NUL'],
  [`env: [A=${'x'.repeat(131_070)}]`, 'it has 131072 bytes'],
  ['uid: 4294967295', '4:10: services[0].uid: 4294967295 is not an id'],
  ['uid: 2147483648', '2147483648 is not an id: runc takes 0 to 2147483647'],
  ['gid: 4294967295', '4294967295 is not an id'],
  ['additionalGids: [4294967295]', 'services[0].additionalGids[0]: 4294967295 is not an id'],
  ['rlimits: ["nofile,2048,1024"]', 'the soft limit 2048 is above the hard limit 1024'],
  ['rlimits: ["core,unlimited,0"]', 'the soft limit unlimited is above the hard limit 0'],
  ['rlimits: ["nofile,1,1", "NOFILE,2,2"]', 'services[0].rlimits[1]: nofile has two limits'],
  ['rlimits: ["nofile,1024,unlimited"]', 'Linux does not allow more than 2147483584'],
  ['net: hots', '4:10: services[0].net: "hots" is neither a namespace nor a path'],
  ['net: run/netns/x', '"run/netns/x" is neither'],
  ['net: "container:a"', '"container:a" is neither'],
  ['pid: none', '"none" is neither'],
  ['ipc: none', '"none" is neither'],
  ['uts: private', '"private" is neither'],
  ['userns: keep-id', '"keep-id" is neither'],
  [`hostname: ${'h'.repeat(65)}`, 'it has 65 bytes, and a host name at most 64'],
  ['hostname: "a\\nb"', '"a\\nb" is not a host name'],
  ['hostname: a b', '"a b" is not a host name'],
  ['maskedPaths: ["/a\\0b"]', 'is not an absolute path'],
  ['maskedPaths: [proc/kcore]', '"proc/kcore" is not an absolute path'],
  ['readonlyPaths: [""]', '"" is not an absolute path'],
  ['cgroupsPath: /', '"/" is not a control group'],
  ['cgroupsPath: ../x', '"../x" is not a control group'],
  ['cgroupsPath: "/a\\nb"', 'is not a control group'],
  ['cgroupsPath: "/a\\0b"', 'is not a control group'],
  ['rootfsPropagation: foo', '"foo" is not one of: private, rprivate, shared'],
  ['sysctl: {"": "1"}', '"" is not a kernel parameter'],
  ['sysctl: {net.ipv4..x: "1"}', '"net.ipv4..x" is not a kernel parameter'],
  ['sysctl: {net/../x: "1"}', '"net/../x" is not a kernel parameter'],
  ['sysctl: {net.x: ""}', 'services[0].sysctl.net.x: the value is empty'],
  ['sysctl: {net.x: "1\\02"}', 'it contains a NUL'],
  ['annotations: {"": a}', 'an annotation needs a name'],
  ['annotations: {a: "b\\0c"}', 'it contains a NUL'],
  ['annotations: {lkt.allow: mount}', 'lkt sets it: use "allow"'],
  ['annotations: {lkt.runtimeClass: x}', 'lkt sets it: use "runtimeClass"'],
  [map('0 0 0'), 'the range is empty'],
  [map('0 4294967290 10'), 'the range goes beyond 4294967294'],
  [map('4294967290 0 10'), 'the range goes beyond 4294967294'],
  [map('0 1000 10', '5 2000 10'), 'services[0].uidMappings[1]: the ids 5 to 14 of the container'],
  [map('0 1000 10', '10 1005 10'), 'the ids 1005 to 1014 of the machine are mapped twice'],
  [map(...many), 'there are 341 ranges'],
  [device('path: "", type: c'), '"" is not an absolute path'],
  [device('path: dev/x, type: c'), '"dev/x" is not an absolute path'],
  [device('path: /dev/../x, type: c'), '"/dev/../x" is not an absolute path'],
  [device('path: /dev/x, type: a'), '"a" is not the type of a device node'],
  [device('path: all, type: p'), 'only block and character devices have rules'],
  [device('path: /dev/x, type: c, major: 4096'), '4096 is not between 0 and 4095'],
  [device('path: /dev/x, type: c, minor: 1048576'), '1048576 is not between 0 and 1048575'],
  [
    'devices: [{path: /dev/x, type: c, mode: "600"}, {path: /dev/x, type: b, mode: "600"}]',
    'services[0].devices[1]: there are two devices "/dev/x"',
  ],
  [resources('memory: {limit: -5}'), '-5 is not a limit'],
  [resources('memory: {limit: 512}'), 'no container starts in 512 bytes'],
  [resources('memory: {reservation: -5}'), '-5 is not a limit'],
  [resources('memory: {limit: 100000000, swap: -5}'), '-5 is not a limit'],
  [resources('memory: {limit: 100000000, swap: 50000000}'), 'swap: it is less than the limit'],
  [resources('memory: {swap: 50000000}'), 'swap: it needs a limit of memory'],
  [resources('cpu: {shares: -1}'), '-1 is not a weight'],
  [resources('cpu: {shares: 1}'), '1 is not a weight'],
  [resources('cpu: {shares: 300000}'), '300000 is not a weight'],
  [resources('cpu: {quota: 500}'), '500 is less than a millisecond'],
  [resources('cpu: {period: -1}'), '-1 is not a period'],
  [resources('cpu: {period: 500}'), '500 is not a period'],
  [resources('cpu: {period: 2000000}'), '2000000 is not a period'],
  [resources('cpu: {cpus: abc}'), '"abc" is not a list of numbers'],
  [resources('cpu: {cpus: 3-1}'), '"3-1" is not a list of numbers'],
  [resources('cpu: {mems: "0,"}'), '"0," is not a list of numbers'],
  [resources('pids: {limit: -5}'), '-5 is not a limit'],
  [resources('pids: {limit: 5000000}'), '5000000 is not a limit'],
  [resources('blockio: {weight: 5}'), '5 is not a weight'],
  [resources('blockio: {throttleReadBpsDevice: [{major: 8, rate: -1}]}'), '-1 is not between'],
  [resources('hugepageLimits: [{pageSize: big, limit: 1}]'), '"big" is not a size of pages'],
  [resources('hugepageLimits: [{limit: 1}]'), '"pageSize" is missing'],
  [resources('hugepageLimits: [{pageSize: 2MB, limit: -1}]'), '-1 is not between'],
  [resources('network: {classID: 4294967296}'), '4294967296 is not between'],
  [resources('devices: [{allow: true, access: xyz}]'), '"xyz" is not an access'],
  [resources('devices: [{allow: true, type: c, major: -5, access: r}]'), '-5 is not between'],
  [resources('devices: [{allow: true, type: c, major: 1}]'), '"access" is missing'],
  [resources('unified: {cgroup.procs: "1"}'), '"cgroup.procs" is no limit'],
  [resources('unified: {cgroup.freeze: "1"}'), '"cgroup.freeze" is no limit'],
  [resources('unified: {foo.bar: "1"}'), '"foo" is not a controller'],
  [resources('unified: {memory.high: ""}'), 'the value is empty'],
  [runtime('mkdir: [""]'), '"" is not a path'],
  [runtime('mkdir: ["/var/a\\0b"]'), 'is not a path'],
  [runtime('mkdir: [{path: ""}]'), '"" is not a path'],
  [runtime('cgroups: [""]'), '"" is not a control group'],
  [runtime('cgroups: [../x]'), '"../x" is not a control group'],
  [runtime('cgroups: ["a\\nb"]'), 'is not a control group'],
  [runtime('mounts: [{type: tmpfs}]'), 'the mount has no destination'],
  [runtime('mounts: [{source: /dev/sda, destination: /a}]'), 'mounts[0]: the mount has no type'],
  [runtime('mounts: [{destination: /a, options: [private]}]'), 'the mount has no type'],
  [network('add: dummy'), '"name" is missing'],
  [network('name: a234567890123456'), '"a234567890123456" is not a name for an interface'],
  [network('name: a/b'), '"a/b" is not a name'],
  [network('name: v0, peer: "p q"'), '"p q" is not a name'],
  [network('name: v0, add: veth'), 'a veth needs a peer'],
  [network('name: v0, add: dummy, peer: p0'), 'a dummy has no peer'],
  [runtime('interfaces: [{name: a}, {name: a}]'), 'there are two interfaces "a"'],
  [runtime('bindNS: {net: run/x}'), '"run/x" is not an absolute path'],
];

describe('a setting with which no container could start is an error', () => {
  it.each(REJECTED)('%s', (setting, message) => {
    expect(() => parse(setting)).toThrow(LktError);
    expect(() => parse(setting)).toThrow(message);
    expect(() => parse(setting)).toThrow(/^a\.yml:4:\d+: /);
  });

  it('also in the label of an image', () => {
    expect(() => parseLabel({ path: 'label of img', text: '{"cwd": "work"}' })).toThrow(
      'label of img:1:9: cwd: "work" is not an absolute path',
    );
  });
});

describe('settings that work stay accepted', () => {
  it.each([
    'cwd: ""',
    'env: [A=, "B=a=b", "C=x\\ny"]',
    'uid: 2147483647',
    'rlimits: ["nofile,1024,1048576", "nproc,5,unlimited", "RLIMIT_CORE, unlimited , UNLIMITED"]',
    'net: none',
    'net: ""',
    'pid: /run/netns/x',
    'userns: host',
    'hostname: web-1.example_x',
    'cgroupsPath: a/b',
    'cgroupsPath: "system.slice:lkt:x"',
    'rootfsPropagation: ""',
    'sysctl: {net/ipv4/ip_forward: "1", net.ipv4.conf.eth0.x: "0"}',
    map('0 1000 10', '10 1010 10'),
    device('path: /x, type: c, major: 1, minor: 3'),
    'devices: [{path: all, type: a}]',
    resources('memory: {limit: -1, swap: -1}, pids: {limit: 0}, cpu: {shares: 0, quota: -1}'),
    resources('cpu: {cpus: "0-3,6", mems: "0", shares: 262144, period: 1000}'),
    resources('devices: [{allow: false, access: rwm}, {allow: true, major: -1, access: r}]'),
    resources('unified: {memory.high: "1", io.max: "8:0 rbps=1", cpu.weight.nice: "1"}'),
    resources('hugepageLimits: [{pageSize: 2MB, limit: 0}], blockio: {weight: 0}'),
    runtime('mkdir: [rel/x, /var/../a], cgroups: [a, /b/c]'),
    runtime('interfaces: [{name: v0, peer: v1}, {name: v2, add: veth, peer: v3}, {name: eth0}]'),
    runtime('bindNS: {net: ""}'),
    runtime('mounts: [{source: /a, destination: /b, options: [rbind]}]'),
    runtime('mounts: [{destination: /b, options: [remount, ro]}]'),
  ])('%s', (setting) => {
    expect(() => parse(setting)).not.toThrow();
  });
});

describe('the owner of a file', () => {
  it('may be any id', () => {
    const text = file('4294967294');
    expect(parseConfig({ path: 'a.yml', text }).files[0]?.uid).toBe(4_294_967_294);
  });

  it('is not the id that stands for none', () => {
    expect(() => parseConfig({ path: 'a.yml', text: file('4294967295') })).toThrow(
      'a.yml:1:37: files[0].uid: 4294967295 is not an id: ids go from 0 to 4294967294',
    );
  });
});
