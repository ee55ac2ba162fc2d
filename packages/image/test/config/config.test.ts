import { LktError } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import {
  containerIds,
  imageReferencesOf,
  mergeConfigs,
  type SystemConfig,
} from '../../src/config/config.ts';
import { parseConfig } from '../support.ts';

function parse(text: string): SystemConfig {
  return parseConfig({ path: 'a.yml', text });
}

/** Returns the config of a service with these lines. */
function service(...lines: readonly string[]): string {
  return ['services:', '  - name: svc', '    image: img:1', ...lines.map((l) => `    ${l}`)].join(
    '\n',
  );
}

describe('parseConfig reports position and problem', () => {
  it.each([
    ['', '1:1: expected a mapping, found nothing'],
    ['- a', '1:1: expected a mapping, found a list'],
    ['kernal: {}', '1:1: unknown key "kernal"'],
    ['kernel: {image: a, cmdlin: b}', '1:20: unknown key "cmdlin" in kernel'],
    ['init: a', '1:7: init: expected a list, found a string'],
    ['init: [1]', '1:8: init[0]: expected a string, found the number 1'],
    ['init:\n\t- a', '2:1: Tabs are not allowed as indentation'],
    ['init: [a]\n---\ninit: [b]', '2:1: Source contains multiple documents'],
    ['init: [UPPER]', '1:8: init[0]: "UPPER" is not an image reference'],
    ['init: ["@x"]', '1:8: init[0]: "@x" is not an image'],
    ['init: ["@pkg:"]', '1:8: init[0]: "@pkg:" names no directory'],
    ['services: [{name: a}]', '1:12: services[0]: "image" is missing'],
    ['services: [{image: a}]', '1:12: services[0]: "name" is missing'],
    ['onboot: [{name: a/../b, image: a}]', '"a/../b" is not a name for a container'],
    [`onboot: [{name: ${'a'.repeat(77)}, image: a}]`, 'is not a name for a container'],
    ['services: [{name: a, image: i}, {name: a, image: i}]', 'two services with the name "a"'],
    [
      service('readonly: yes'),
      '4:15: services[0].readonly: expected true or false, found a string',
    ],
    [service('capabilities: [CHOWN]'), '4:20: services[0].capabilities[0]: unknown capability'],
    [service('capabilities: [CAP_KILL, all]'), '"all" must be the only item of the list'],
    [service('binds: [/a]'), '4:13: services[0].binds[0]: "/a" has no ":"'],
    [service('binds: ["/a:/b:ro:x"]'), '"/a:/b:ro:x" has too many ":"'],
    [service('tmpfs: ["/a:b:c"]'), '"/a:b:c" is not a tmpfs'],
    [service('mounts: [{type: tmpfs}]'), 'the mount of type tmpfs has no destination'],
    [service('mounts: [{destination: /x}]'), 'the mount at "/x" has no type'],
    [service('mounts: [{typ: a}]'), 'unknown key "typ" in services[0].mounts[0]'],
    [service('uid: -1'), '4:10: services[0].uid: -1 is not an id'],
    [service('uid: 1.0'), '4:10: services[0].uid: expected a whole number, found 1.0'],
    [service('uid: 010'), '010 starts with a zero'],
    [service('rlimits: ["foo,1,2"]'), 'unknown limit: foo'],
    [service('rlimits: ["nofile,1"]'), '"nofile,1" is not a limit'],
    [service('rlimits: ["nofile,1,18446744073709551616"]'), 'neither a number nor "unlimited"'],
    [service('devices: [{path: /dev/x, type: c}]'), 'services[0].devices[0]: "mode" is missing'],
    [service('devices: [{path: /x, type: c, mode: 0666}]'), 'mode: expected a string'],
    [service('devices: [{path: /x, type: z, mode: "1"}]'), '"z" is not one of: a, b, c, u, p'],
    [service('resources: {memory: {limit: 1G}}'), 'limit: expected a whole number, found a string'],
    [service('oomScoreAdj: 1001'), '1001 is not between -1000 and 1000'],
    [service('sysctl: {a: 1}'), 'services[0].sysctl.a: expected a string'],
    [
      service('runtime: {bindNS: {network: x}}'),
      'unknown key "network" in services[0].runtime.bindNS',
    ],
    [service('restart: sometimes'), '"sometimes" is not one of: never, on-failure, always'],
    [service('onfailure: reboot'), '4:16: services[0].onfailure: it has no effect in services'],
    [service('timeout: 5'), '4:14: services[0].timeout: it has no effect in services'],
    ['onboot: [{name: a, image: i, timeout: 0}]', 'onboot[0].timeout'],
    ['onboot: [{name: a, image: i, after: [b]}]', 'it has no effect in onboot'],
    [
      service('ready: {timeout: 5}'),
      '4:12: services[0].ready: "socket", "exec" or "log" is missing',
    ],
    [service('ready: {log: up, exec: [a]}'), '"socket", "exec" and "log" exclude each other'],
    [service('ready: {socket: run/x}'), '"run/x" is not an absolute path'],
    [service('seccomp: {syscalls: []}'), '"defaultAction" is missing'],
    [service('seccomp: {defaultAction: ALLOW}'), '"ALLOW" is not one of: SCMP_ACT_ALLOW'],
    [service('resources: {unified: {../x: 1}}'), '"../x" is not a file of a control group'],
    ['volumes: [{name: A}]', '"A" is not a name for a volume'],
    ['volumes: [{name: ""}]', '"" is not a name for a volume'],
    ['volumes: [{name: a}, {name: a}]', '1:29: volumes[1].name: there are two volumes'],
    ['volumes: [{name: a, format: zip}]', '"zip" is not one of: filesystem, oci'],
    [
      'volumes: [{name: a, platforms: [linux/amd64]}]',
      '1:11: volumes[0]: platforms apply only to a volume of format oci',
    ],
    [
      'volumes: [{name: a, format: oci, platforms: [amd]}]',
      '1:46: volumes[0].platforms[0]: "amd" is not a platform',
    ],
    ['files: [{path: a}]', '1:9: files[0]: the file has no contents'],
    ['files: [{contents: a}]', '"path" is missing'],
    ['files: [{path: a, contents: b, source: c}]', 'cannot have "contents" and "source"'],
    ['files: [{path: a, contents: b, mode: 0644}]', 'files[0].mode: expected a string'],
    ['files: [{path: a, contents: b, mode: "888"}]', '"888" is not a file mode'],
    ['files: [{path: ../a, contents: b}]', '"../a" is not a path in the image'],
    ['files: [{path: /, contents: b}]', '"/" is not a path in the image'],
    ['files: [{path: a//b, contents: b}]', '"a//b" is not a path in the image'],
    ['kernel: {cmdline: "a\\0b"}', 'kernel.cmdline: the command line contains a NUL'],
    ['trust: {orgs: [a]}', 'unknown key "orgs" in trust'],
  ])('%j', (text, message) => {
    expect(() => parse(text)).toThrow(LktError);
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(/^a\.yml:\d+:\d+: /);
  });

  it('shows the line with a caret and the nearest key', () => {
    const error = catching(() => parse('kernel:\n  cmdlien: x\n'));
    expect(error).toMatchObject({
      fix: 'did you mean "cmdline"?',
      detail: '  2 |   cmdlien: x\n    |   ^^^^^^^',
    });
  });
});

describe('mergeConfigs', () => {
  it('overrides the kernel by field and appends lists, including volumes', () => {
    const merged = mergeConfigs([
      parse('kernel: {image: k:1, cmdline: a}\ninit: [a]\nvolumes: [{name: v}]'),
      parse('kernel: {cmdline: b}\ninit: [b]\nservices: [{name: s, image: i, binds: ["v:/v"]}]'),
    ]);
    expect(merged.kernel.image?.text).toBe('k:1');
    expect(merged.kernel.cmdline).toBe('b');
    expect(merged.init.map(({ text }) => text)).toEqual(['a', 'b']);
    expect(merged.volumes.map(({ name }) => name)).toEqual(['v']);
  });

  it('checks names across files', () => {
    const config = parse('services: [{name: a, image: i}]');
    expect(() => mergeConfigs([config, config])).toThrow('two services with the name "a"');
  });
});

it('numbers containers in start order; the last of two equal names wins', () => {
  const config = parse(
    'services: [{name: s, image: i}]\nonboot: [{name: a, image: i}, {name: b, image: i}]\nonshutdown: [{name: a, image: i}]',
  );
  expect([...containerIds(config)]).toEqual([
    ['a', 102],
    ['b', 101],
    ['s', 103],
  ]);
});

it('returns all images of a config', () => {
  const config = parse(
    'kernel: {image: k}\ninit: [i, "@pkg:../x"]\nonboot: [{name: a, image: o}]\nservices: [{name: s, image: s}]\nvolumes: [{name: v, image: v}, {name: w}]',
  );
  expect(imageReferencesOf(config).map(({ full }) => full)).toEqual([
    'docker.io/library/k',
    'docker.io/library/i',
    '@pkg:../x',
    'docker.io/library/v',
    'docker.io/library/o',
    'docker.io/library/s',
  ]);
});

function catching(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
