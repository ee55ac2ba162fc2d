import { parseYaml } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import { DEBIAN, type DebianBlock } from '../src/lock/debian-block.ts';

function parse(text: string): DebianBlock {
  const value = parseYaml({ path: 'build.yml', text }).entries().get('debian');
  if (value === undefined) throw new Error('no debian block');
  return DEBIAN.read(value);
}

const head = 'debian:\n  suite: trixie\n  packages: [bash, "make (= 4.4.1-2)"]\n';

describe('DEBIAN', () => {
  it('reads every key', () => {
    const block = parse(`${head}  components: [main]
  without: [libc6]
  noDependencies: true
  exclude: [usr/lib/x]
  include: [usr/share/doc/*/copyright]
  links:
    /usr/bin/awk: mawk
  files:
    - path: /etc/passwd
      contents: |
        root:x:0:0::/root:/bin/sh
    - { path: /init, contents: x, mode: 0755 }
  directories:
    - { path: /tmp, mode: "1777" }
    - path: /proc/
`);
    expect(block).toEqual({
      suite: 'trixie',
      packages: ['bash', 'make (= 4.4.1-2)'],
      components: ['main'],
      without: ['libc6'],
      noDependencies: true,
      exclude: ['usr/lib/x'],
      include: ['usr/share/doc/*/copyright'],
      links: new Map([['usr/bin/awk', 'mawk']]),
      files: [
        { path: 'etc/passwd', contents: 'root:x:0:0::/root:/bin/sh\n' },
        { path: 'init', contents: 'x', mode: 0o755 },
      ],
      directories: [{ path: 'tmp', mode: 0o1777 }, { path: 'proc' }],
    });
  });

  it('accepts sources without packages', () => {
    expect(parse('debian:\n  suite: trixie\n  sources: [linux (= 6.12.107-1)]\n')).toEqual({
      suite: 'trixie',
      packages: [],
      sources: ['linux (= 6.12.107-1)'],
    });
  });

  it.each([
    ['debian:\n  packages: [a1]\n', '2:3', '"suite" is missing'],
    ['debian:\n  suite: trixie\n', '2:3', '"packages" is missing'],
    ['debian:\n  suite: trixie\n  packages: []\n', '3:13', 'at least one package'],
    ['debian:\n  suite: trixie\n  sources: []\n', '2:3', '"packages" is missing'],
    [`${head}  sources: [a b]\n`, '4:13', 'is not a package'],
    [`${head}  package: [x]\n`, '4:3', 'unknown key "package"'],
    [`${head}  without: [a b]\n`, '4:13', 'expected the name of a package'],
    [`${head}  noDependencies: yes\n`, '4:19', 'expected true or false'],
    ['debian:\n  suite: trixie\n  packages: [a1, a1]\n', '3:18', 'twice'],
    ['debian:\n  suite: trixie\n  packages: ["a b"]\n', '3:14', 'is not a package'],
    ['debian:\n  suite: ../x\n  packages: [a1]\n', '2:10', 'the name of a suite'],
    [`${head}  links: { /../x: y }\n`, '4:19', 'is not a path in the image'],
    [`${head}  links: { /: y }\n`, '4:15', 'is not a path in the image'],
    [`${head}  links: { /a: "" }\n`, '4:16', 'the target'],
    [`${head}  files: [{ path: /a }]\n`, '4:11', '"contents" is missing'],
    [
      `${head}  files: [{ path: /a, contents: x, mode: 4755 }]\n`,
      '4:42',
      'expected a mode within 0777',
    ],
    [`${head}  files: [{ path: /a, contents: x, mode: rwx }]\n`, '4:42', 'expected a mode such as'],
    [`${head}  directories: [{ path: /a }, { path: a/ }]\n`, '4:39', 'declared twice'],
    [`${head}  directories: [{ path: /a, mode: 2755 }]\n`, '4:35', 'expected a mode within 01777'],
  ])('rejects %j', (text, place, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(new RegExp(`^build\\.yml:${place}: .*${message}`)) as string,
      }),
    );
  });
});
