import type { SecretSource } from '@lkt/builder';
import type { Dockerfile } from '@lkt/dockerfile';
import { LktError, sourceError } from '@lkt/core';
import type { Package } from '../workspace/workspace.ts';

/**
 * Returns the secrets for the build of a package: those that its build.yml names, and no others.
 * @throws CONFIG_INVALID at a mount of a secret that build.yml does not name
 * @throws NOT_FOUND if the value of a secret is missing
 */
export function secretsFor(
  item: Package,
  dockerfile: Dockerfile,
  given: ReadonlyMap<string, SecretSource>,
): ReadonlyMap<string, SecretSource> {
  const declared = new Set(item.secrets.map(({ id }) => id));
  requireDeclared(dockerfile, declared);
  return new Map(
    [...declared].map((id) => {
      const source = given.get(id);
      if (source !== undefined) return [id, source];
      throw new LktError('NOT_FOUND', `the secret "${id}" for ${item.name} is missing`, {
        fix: `add --secret id=${id},src=FILE or --secret id=${id},env=NAME`,
      });
    }),
  );
}

function requireDeclared({ stages, file }: Dockerfile, declared: ReadonlySet<string>): void {
  for (const instruction of stages.flatMap(({ instructions }) => instructions)) {
    if (instruction.keyword !== 'RUN') continue;
    for (const { type, id, target, flag } of instruction.mounts) {
      const name = id ?? target?.split('/').at(-1);
      // A variable in the id is unknown here. The build mounts only declared secrets in any case.
      if (type !== 'secret' || name === undefined || name.includes('$') || declared.has(name))
        continue;
      const message = `build.yml does not name the secret "${name}"`;
      throw sourceError('CONFIG_INVALID', file, flag.position, message, {
        length: flag.length,
        fix: `add to build.yml: secrets: [${[...declared, name].join(', ')}]`,
      });
    }
  }
}
