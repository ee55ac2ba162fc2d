import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nativeEngine } from '@lkt/builder';
import { type Digest, LktError, silentReporter } from '@lkt/core';
import { imageReferences, parseDockerfile, withoutIgnored } from '@lkt/dockerfile';
import type { Store } from '@lkt/oci';
import { contextOf } from '../../../builder/test/fixture.ts';
import { builtImage } from './built-image.ts';
import type { Outcome } from './peers.ts';
import { withoutDigests } from './stand-ins.ts';
import type { ConformanceCase } from './suite.ts';

const platform = { os: 'linux', architecture: 'amd64' } as const;

async function readSource({ source }: { readonly source: string }): Promise<string> {
  return readFileSync(source, 'utf8');
}

/** Builds a case with lkt's own engine. Cases share a store, as packages do. */
export async function buildWithLkt(
  { context, dockerfile, buildArgs }: ConformanceCase,
  store: Store,
  path: string,
  images: ReadonlyMap<string, Digest>,
): Promise<Outcome> {
  const text = withoutDigests(readFileSync(join(context, dockerfile), 'utf8'));
  const file = { path: dockerfile, text };
  const args = new Map(Object.entries(buildArgs));
  try {
    const named = imageReferences(parseDockerfile(file), args, platform);
    const bases = named.flatMap(({ text: name, isNeeded }): [string, Digest][] => {
      const digest = images.get(name);
      if (digest !== undefined) return [[name, digest]];
      if (isNeeded) throw new Error(`nothing stands for ${name}`);
      return [];
    });
    const { digest } = await nativeEngine().build(
      {
        name: 'test',
        dockerfile: file,
        context: await withoutIgnored(contextOf(context), dockerfile, readSource),
        buildArgs: args,
        labels: {},
        platform,
        network: false,
        bases: new Map(bases),
      },
      { store, reporter: silentReporter },
    );
    return { image: await builtImage(path, digest) };
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return { error: `${error.code} ${error.message}` };
  }
}
