import { parseYaml } from '@lkt/core';
import { expect, it } from 'vitest';
import { IMAGE_CONFIG, imageConfigLabel } from '../src/build-yml/image-config.ts';

const label = (text: string): string =>
  imageConfigLabel(IMAGE_CONFIG.read(parseYaml({ path: 'x', text })));

// The expected text is the output of LinuxKit's Go structs for the same YAML.
it.each([
  ['{}', '{}'],
  ['binds: [/a:/b]\ncapabilities: [all]', '{"capabilities":["all"],"binds":["/a:/b"]}'],
  ['command: []\nenv:', '{"command":[]}'],
  ['command: [sleep, 10, 1.50, true, 0x10]', '{"command":["sleep","10","1.50","true","0x10"]}'],
  ['net: ""\npid: host', '{"pid":"host"}'],
  ['readonly: false', '{"readonly":false}'],
  [
    'uid: 0\ngid: dhcpcd\nadditionalGids: [1, x]',
    '{"uid":0,"gid":"dhcpcd","additionalGids":[1,"x"]}',
  ],
  ['oomScoreAdj: -800', '{"oomScoreAdj":-800}'],
  [
    'devices: [{path: all, type: b}, {type: c, path: /dev/x, minor: 11, major: 1, mode: "0666"}]',
    '{"devices":[{"path":"all","type":"b","major":0,"minor":0},{"path":"/dev/x","type":"c","major":1,"minor":11,"mode":"0666"}]}',
  ],
  [
    'mounts: [{options: [a], type: tmpfs, destination: /x}]\nruntime: {mounts: [{type: t, destination: /y}]}',
    '{"mounts":[{"destination":"/x","type":"tmpfs","options":["a"]}],"runtime":{"mounts":[{"destination":"/y","type":"t"}],"bindNS":{}}}',
  ],
  ['sysctl: {net.b: 1, net.a: "0"}', '{"sysctl":{"net.a":"0","net.b":"1"}}'],
  ['runtime: {mkdir: [/a]}', '{"runtime":{"mkdir":["/a"],"bindNS":{}}}'],
  [
    'runtime: {mkdir: [/a, {mode: "0700", gid: 687, path: /b, uid: 686}]}',
    '{"runtime":{"mkdir":["/a",{"path":"/b","uid":686,"gid":687,"mode":"0700"}],"bindNS":{}}}',
  ],
  [
    'runtime: {bindNS: {net: /run/x}, interfaces: [{name: a}], namespace: s}',
    '{"runtime":{"interfaces":[{"name":"a","createInRoot":false}],"bindNS":{"net":"/run/x"},"namespace":"s"}}',
  ],
  [
    'uidMappings: [{hostID: 1000, size: 10}]',
    '{"uidMappings":[{"containerID":0,"hostID":1000,"size":10}]}',
  ],
  [
    'resources: {pids: {limit: 5}, memory: {swap: 0, limit: 65536}, cpu: {cpus: "0", shares: 2}}',
    '{"resources":{"memory":{"limit":65536,"swap":0},"cpu":{"shares":2,"cpus":"0"},"pids":{"limit":5}}}',
  ],
  ['env: ["A=<b>&c\u2028"]', '{"env":["A=\\u003cb\\u003e\\u0026c\\u2028"]}'],
  ['hostname: h\nuserns: new\ncwd: /w', '{"cwd":"/w","userns":"new","hostname":"h"}'],
  [
    'restart: always\nafter: [a]\nready: {log: up}\nseccomp: {syscalls: [{action: SCMP_ACT_ALLOW, names: [read]}], defaultAction: SCMP_ACT_ERRNO}\nresources: {unified: {memory.high: 5, cpu.weight: "9"}}',
    '{"resources":{"unified":{"cpu.weight":"9","memory.high":"5"}},"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]},"restart":"always","after":["a"],"ready":{"log":"up","timeout":60}}',
  ],
])('%s', (text, expected) => {
  expect(label(text)).toBe(expected);
});

it('rejects invalid settings', () => {
  expect(() => label('capabilities: [CAP_SYS_ADMN]')).toThrow('x:1:16: capabilities[0]: unknown');
  expect(() => label('binds: [a]')).toThrow('x:1:9: binds[0]: "a" has no ":"');
});
