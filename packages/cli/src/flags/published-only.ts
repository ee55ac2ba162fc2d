import { switchFlag } from './options.ts';

/** The flag of `lkt cache clean`, named as in LinuxKit. */
export const publishedOnly = {
  'published-only': switchFlag(
    'remove only images that their registries have too, with the same digest',
  ),
};
