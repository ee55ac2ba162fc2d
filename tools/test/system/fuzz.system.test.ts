import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { corpusSize, type FuzzResult, fuzzedPackages, fuzzPackage } from '../fuzz/go-targets.ts';
import { moduleInputs } from '../go-modules.ts';
import { proven } from './helpers/proof.ts';

/** Inputs per target; `npm run test:fuzz` sets LKT_FUZZ_RUNS to many more. */
const INPUTS = Number(process.env['LKT_FUZZ_RUNS'] ?? 2000);

const dir = mkdtempSync(join(tmpdir(), 'lkt-fuzz-'));
const all = fuzzedPackages();
const results: FuzzResult[] = [];

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
  const sum = results.reduce((total, { executions }) => total + executions, 0);
  console.log(
    `fuzz: ${sum} executions of ${results.length} targets in Go, ${corpusSize()} inputs kept`,
  );
});

describe('parsers of foreign bytes in Go', () => {
  test('have a target each', () => {
    const targets = all.flatMap(({ directory, targets: names }) =>
      names.map((name) => `${directory} ${name}`),
    );
    expect(targets).toEqual(
      expect.arrayContaining([
        'pkg/auditd FuzzRecord',
        'pkg/binfmt FuzzParse',
        'pkg/dhcp/channel FuzzDecode',
        'pkg/dhcp/config6 FuzzDecode',
        'pkg/dhcp/engine FuzzConversation',
        'pkg/dhcp/engine6 FuzzConversation',
        'pkg/dhcp/packet FuzzNames',
        'pkg/dhcp/packet FuzzParse',
        'pkg/dhcp/packet6 FuzzUnwrap',
        'pkg/dhcp/role/actuator FuzzRoute',
        'pkg/dhcp/rtnl FuzzMessages',
        'pkg/dm-crypt FuzzReadKey',
        'pkg/dm-crypt/luks FuzzRead',
        'pkg/getty FuzzAttempt',
        'pkg/getty FuzzShadow',
        'pkg/getty/crypt FuzzParse',
        'pkg/init FuzzEvent',
        'pkg/init FuzzHostname',
        'pkg/init FuzzMounts',
        'pkg/init/confine FuzzConfig',
        'pkg/init/logd FuzzQueries',
        'pkg/init/logd FuzzWriters',
        'pkg/init/logs FuzzParseLine',
        'pkg/init/manifest FuzzRead',
        'pkg/init/roots FuzzRead',
        'pkg/ip/command FuzzLink',
        'pkg/ip/wireguard FuzzParseConfig',
        'pkg/metadata/cloud FuzzAnswers',
        'pkg/metadata/disk FuzzMetaData',
        'pkg/metadata/guestinfo FuzzRead',
        'pkg/metadata/iso9660 FuzzReadFile',
        'pkg/modules FuzzAliases',
        'pkg/modules FuzzDepends',
        'pkg/ntp FuzzReadSteps',
        'pkg/ntp/nts FuzzOpen',
        'pkg/ntp/nts FuzzReadAnswer',
        'pkg/qemu-ga FuzzAnswer',
        'pkg/sshd/authority FuzzAuthorize',
        'pkg/sshd/hostkey FuzzParse',
        'pkg/sshd/message FuzzDecode',
        'pkg/sshd/role/keys FuzzSpeaker',
        'pkg/sshd/role/speaker FuzzClient',
        'pkg/sshd/settings FuzzParse',
        'pkg/sshd/users FuzzLoad',
        'pkg/storage/disk FuzzProbe',
        'pkg/storage/reader FuzzAnswer',
        'pkg/storage/table FuzzRead',
        'pkg/swap FuzzIsSwap',
        'pkg/tpm FuzzDecode',
        'pkg/vmtoolsd FuzzHost',
        'pkg/tpm/eventlog FuzzParse',
      ]),
    );
  });

  test.each(all)('withstand new inputs: $directory', { timeout: 36_000_000 }, async (fuzzed) => {
    const name = `go-fuzz-${fuzzed.directory.replaceAll('/', '-')}-${INPUTS}`;
    const text = await proven(
      name,
      async () => {
        const program = join(dir, name);
        return JSON.stringify(await fuzzPackage(fuzzed, INPUTS, program));
      },
      moduleInputs(fuzzed.module),
    );
    const found = JSON.parse(text) as readonly FuzzResult[];
    results.push(...found);
    expect(found.map(({ target }) => target)).toEqual(fuzzed.targets);
    for (const { executions } of found) expect(executions).toBeGreaterThanOrEqual(INPUTS);
  });
});
