import { resolve } from 'node:path';
import { digestOf } from '@lkt/core';
import type { RootRecord } from '@lkt/sign';
import { LktCommand } from '../command.ts';
import { requiredArg } from '../flags/options.ts';
import { columns } from '../output/lines.ts';
import { printable } from '../output/printable.ts';
import { readGiven } from '../session/paths.ts';
import { remindOfUpdate } from '../session/trust.ts';

/** A certificate authority, log or timestamp authority of a trusted root. */
interface Authority {
  readonly kind: string;
  readonly url: string;
  readonly from: string | undefined;
  /** Undefined: still in use. */
  readonly to: string | undefined;
}

interface Result {
  readonly path: string;
  readonly digest: string;
  /** Where `lkt trust update` fetched it; undefined if it was made otherwise, or changed since. */
  readonly record: RootRecord | undefined;
  readonly authorities: readonly Authority[];
}

export class TrustShow extends LktCommand {
  static override summary = 'Show the age and the authorities of a trusted root';
  static override description = `Shows its digest, where and when it was fetched, the versions and expiry of its TUF metadata, and its authorities and logs. Warns if the metadata has expired.`;
  static override examples = ['<%= config.bin %> trust show keys/trusted_root.json'];
  static override args = {
    file: requiredArg('a trusted_root.json'),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(TrustShow);
    const session = await this.begin(flags);
    const { file: path } = args;
    const { cwd } = session.environment;
    const text = await readGiven(cwd, path);
    const { readTrustedRoot } = await import('@lkt/sign');
    const root = await readTrustedRoot(resolve(cwd, path), path);
    remindOfUpdate(session, root);
    const { message, record } = root;
    const authorities = [
      ...message.certificateAuthorities.map(({ uri, validFor }) =>
        authority('certificate authority', uri, validFor),
      ),
      ...message.ctlogs.map(({ baseUrl, publicKey }) =>
        authority('certificate log', baseUrl, publicKey?.validFor),
      ),
      ...message.tlogs.map(({ baseUrl, publicKey }) =>
        authority('signature log', baseUrl, publicKey?.validFor),
      ),
      ...message.timestampAuthorities.map(({ uri, validFor }) =>
        authority('timestamp authority', uri, validFor),
      ),
    ];
    const digest = digestOf(text);
    this.endProgress();
    const lines = [
      `${path}: ${digest}`,
      ...(record === undefined ? [] : describeRecord(record)),
      ...columns(
        authorities.map(({ kind, url, from = '', to = '' }) => [
          `  ${kind}`,
          url,
          `${from.slice(0, 10)} – ${to.slice(0, 10)}`,
        ]),
      ),
    ];
    this.log(printable(lines.join('\n')));
    return { path, digest, record, authorities };
  }
}

function authority(
  kind: string,
  url: string,
  { start, end }: { readonly start?: Date | undefined; readonly end?: Date | undefined } = {},
): Authority {
  return { kind, url, from: start?.toISOString(), to: end?.toISOString() };
}

function describeRecord(record: RootRecord): readonly string[] {
  const { url, fetched, rootVersion, targetsVersion, expires } = record;
  return [
    `  from ${url}, as of ${fetched}`,
    `  root version ${rootVersion}, targets version ${targetsVersion}, expires ${expires}`,
  ];
}
