import { LktError } from '@lkt/core';
import { OpenStackClient } from './client.ts';
import { OpenStackProvider } from './provider.ts';
import type { OpenStackSettings } from './settings.ts';
import { readCertificates } from '../../certificates-file.ts';

/** Settings with absolute paths. */
export interface OpenStackOptions extends OpenStackSettings {
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** @throws LktError NOT_FOUND, CONFIG_INVALID for the file and the variables that it needs */
export async function openOpenStack(options: OpenStackOptions): Promise<OpenStackProvider> {
  const { caFile, variables, ...settings } = options;
  const { OS_APPLICATION_CREDENTIAL_ID: id = '', OS_APPLICATION_CREDENTIAL_SECRET: secret = '' } =
    variables;
  if (id === '' || secret === '')
    throw new LktError('CONFIG_INVALID', 'openstack has no application credential', {
      fix: 'set OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET',
    });
  const ca = caFile === undefined ? undefined : await readCertificates(caFile);
  return new OpenStackProvider(new OpenStackClient({ ...settings, id, secret, ca, variables }));
}
