import { execFile } from 'node:child_process';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseYaml } from '@lkt/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RedfishClient } from '../../../src/providers/redfish/client.ts';
import { RedfishPower } from '../../../src/providers/redfish/power.ts';
import { REDFISH_SETTINGS } from '../../../src/providers/redfish/settings.ts';
import { redfishPrivileges } from '../documented-rights.ts';
import { serveBootFiles } from './boot-server.ts';
import { type RedfishTestMachine, startRedfishMachine } from './redfish-machine.ts';

test('reports that a BMC has no virtual USB drive', async () => {
  await using machine = await startRedfishMachine(undefined, redfishPrivileges());
  const types = JSON.stringify({ MediaTypes: ['CD'] });
  machine.answer('/redfish/v1/Managers/1/VirtualMedia/Usb', 200, types);
  const target = { name: 'rack-0', mac: '52:54:00:12:34:00', url: machine.url };
  const { signal } = new AbortController();
  await expect(
    powerBy('test').bootFromMedium(target, 'http://127.0.0.1:1/x', signal),
  ).rejects.toMatchObject({
    failure: 'invalid',
    message: 'the BMC of rack-0 has no virtual USB drive',
  });
});

test('ejects the medium of another node first', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  await writeFile(join(dir.path, 'one'), 'one');
  await writeFile(join(dir.path, 'two'), 'two');
  const { port, ended } = await serveBootFiles(dir.path, []);
  await using machine = await startRedfishMachine(undefined, redfishPrivileges());
  const target = { name: 'rack-0', mac: '52:54:00:12:34:00', url: machine.url };
  const { signal } = new AbortController();
  for (const name of ['one', 'one', 'two'])
    await powerBy('test').bootFromMedium(target, `http://127.0.0.1:${port}/${name}`, signal);
  expect(machine.drive).toMatchObject({ Image: `http://127.0.0.1:${port}/two`, Inserted: true });
  await powerBy('test').ejectMedium(target, signal);
  expect(machine.drive).toMatchObject({ Inserted: false });
  await ended();
});

test('reports which right virtual media needs beyond those of Operator', async () => {
  await using machine = await startRedfishMachine();
  const target = { name: 'rack-0', mac: '52:54:00:12:34:00', url: machine.url };
  const { signal } = new AbortController();
  await powerBy('test').bootFromNetwork(target, signal);
  await expect(
    powerBy('test').bootFromMedium(target, 'http://127.0.0.1:1/x', signal),
  ).rejects.toMatchObject({
    failure: 'denied',
    fix: 'give the user the rights of docs/fleet/redfish.md',
  });
});

describe('redfish service', () => {
  let machine: RedfishTestMachine;
  beforeAll(async () => {
    machine = await startRedfishMachine();
  });
  afterAll(async () => machine[Symbol.asyncDispose]());
  const { signal } = new AbortController();
  const power = powerBy('test');
  const target = (): { name: string; mac: string; url: string } => ({
    name: 'rack-0',
    mac: '52:54:00:12:34:00',
    url: machine.url,
  });
  /** Runs a script of python3-sushy, the client of OpenStack's ironic, against the service. */
  const sushy = async (script: string): Promise<string> => {
    const whole = `
import sushy, time
from sushy import auth
service = sushy.Sushy('${machine.url}/redfish/v1', auth=auth.BasicAuth('lkt', 'test'))
system = service.get_system_collection().get_members()[0]
${script}
`;
    const { stdout } = await promisify(execFile)('/usr/bin/python3', ['-c', whole]);
    return stdout.trim();
  };

  test('is switched and read by sushy and by lkt alike', async () => {
    await power.bootFromNetwork(target(), signal);
    expect(machine.boot).toMatchObject({
      BootSourceOverrideTarget: 'Pxe',
      BootSourceOverrideEnabled: 'Once',
      BootSourceOverrideMode: 'UEFI',
    });
    const seen = await sushy(`
print(system.boot['target'].value, system.boot['enabled'].value, system.boot['mode'].value)
system.set_system_boot_options(target=sushy.BOOT_SOURCE_TARGET_HDD, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE)
system.reset_system(sushy.RESET_TYPE_ON)
time.sleep(1)
system.refresh(force=True)
print(system.power_state.value)
`);
    expect(seen).toBe('Pxe Once UEFI\nOn');
    expect(machine.boot).toMatchObject({ BootSourceOverrideTarget: 'Hdd' });
    expect(await power.isOn(target(), signal)).toBe(true);
    // A machine that is on already is no failure.
    await power.on(target(), signal);
    await power.off(target(), signal);
    expect(
      await sushy('time.sleep(1); system.refresh(force=True); print(system.power_state.value)'),
    ).toBe('Off');
    await power.off(target(), signal);
  });

  test('reports a wrong password without printing it', async () => {
    const error: unknown = await powerBy('hunter2')
      .isOn(target(), signal)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ failure: 'denied', fix: 'check the user and the password file' });
    expect(String(error)).not.toContain('hunter2');
    expect(String(error)).not.toContain(Buffer.from('lkt:hunter2').toString('base64'));
  });

  test.each<[string, string, number, string, string]>([
    ['no JSON', '/redfish/v1', 200, '<html>', 'malformed'],
    ['a list', '/redfish/v1', 200, '[]', 'malformed'],
    [
      'a link to another server',
      '/redfish/v1',
      200,
      '{"Systems":{"@odata.id":"//evil.example/"}}',
      'malformed',
    ],
    [
      'a link out of the service',
      '/redfish/v1',
      200,
      '{"Systems":{"@odata.id":"/redfish/v1/../../x"}}',
      'malformed',
    ],
    ['no system', '/redfish/v1/Systems', 200, '{"Members":[]}', 'invalid'],
    [
      'an unknown power state',
      '/redfish/v1/Systems/1',
      200,
      '{"PowerState":"Dancing"}',
      'malformed',
    ],
    ['2 MiB', '/redfish/v1', 200, ' '.repeat(2 ** 21), 'malformed'],
    ['a redirection', '/redfish/v1', 302, '', 'invalid'],
    ['a failure', '/redfish/v1/Systems', 503, '{"error":{"message":"busy"}}', 'unavailable'],
    ['a missing right', '/redfish/v1/Systems', 403, '', 'denied'],
  ])('rejects %s', async (_, path, status, body, failure) => {
    machine.answer(path, status, body);
    await expect(power.isOn(target(), signal)).rejects.toMatchObject({ failure });
  });

  test('names the systems of a service that has several', async () => {
    const members = ['a', 'b'].map((id) => ({ '@odata.id': `/redfish/v1/Systems/${id}` }));
    machine.answer('/redfish/v1/Systems', 200, JSON.stringify({ Members: members }));
    await expect(power.isOn(target(), signal)).rejects.toMatchObject({ fix: 'name one of: a, b' });
  });

  test('reports a service that is away', async () => {
    const away = { ...target(), url: 'http://127.0.0.1:1' };
    await expect(power.isOn(away, signal)).rejects.toMatchObject({ failure: 'unavailable' });
  });
});

test.each([
  ['http://10.0.0.1', 'is not https://HOST'],
  ['https://user:password@host', 'is not https://HOST'],
  ['https://host/other', 'is not https://HOST'],
])('refuses the URL %s in fleet.yml', (url, message) => {
  const machine = `{url: "${url}", mac: "52:54:00:12:34:00"}`;
  const text = `user: lkt\npasswordFile: p\nmachines: {a: ${machine}}`;
  expect(() => REDFISH_SETTINGS.read(parseYaml({ path: 'fleet.yml', text }))).toThrow(message);
});

function powerBy(password: string): RedfishPower {
  return new RedfishPower(new RedfishClient({ user: 'lkt', password, ca: undefined }), 'efi');
}
