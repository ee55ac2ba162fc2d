/** An expected difference to another builder in named cases, and its reason. */
export type Rule = { readonly cases: readonly string[]; readonly reason: string } & (
  | { readonly kind: 'peer'; readonly peer: 'buildah' }
  | { readonly kind: 'refused'; readonly message: RegExp; readonly peer: 'builds' | 'fails' }
  | { readonly kind: 'layers' }
  | { readonly kind: 'files'; readonly paths: readonly string[] }
  | { readonly kind: 'config'; readonly ours: object; readonly theirs: object }
  | { readonly kind: 'line'; readonly line: number }
  | { readonly kind: 'builds' }
);

/** Every rule must be necessary: if a case no longer differs, the test fails as well. */
export const RULES: readonly Rule[] = [
  {
    kind: 'peer',
    peer: 'buildah',
    cases: [
      'add--exclude-includes-star',
      'add--exclude-includes-slash',
      'add--exclude-includes-dot',
      'copy--exclude-includes-subdir-slash',
      'copy--exclude-includes-dot-slash',
      'copy--exclude-includes-slash',
    ],
    reason: 'the frontend in BuildKit 0.13 has no --exclude',
  },
  {
    kind: 'peer',
    peer: 'buildah',
    cases: ['dockerignore-exclude-kind-of-deep-subdir-star'],
    reason: 'BuildKit 0.13 fails: it looks for a file that .dockerignore has it leave out',
  },
  {
    kind: 'peer',
    peer: 'buildah',
    cases: ['xattrs-file-in-archive'],
    reason: 'BuildKit 0.13 writes no extended attribute into a layer but security.capability',
  },
  {
    kind: 'files',
    paths: [
      'subdir/subdir-f',
      'subdir/subdir-f/file-a.txt',
      'subdir/subdir-f/file-n.txt',
      'subdir/subdir-f/file-o.txt',
    ],
    cases: ['dockerignore-exclude-kind-of-deep-subdir-star'],
    reason:
      'buildah finds no exception below a directory that is left out, where its pattern does not begin with the ' +
      'directory; BuildKit does, as the case for COPY . shows',
  },
  {
    kind: 'refused',
    message: /^PIN_MISSING Dockerfile\.add:2:5: no checksum is given for https:/,
    peer: 'fails',
    cases: ['add'],
    reason:
      'what an address gives can be another thing tomorrow; the other builder has no network here',
  },
  {
    kind: 'refused',
    message: /^DOCKERFILE_INVALID Dockerfile2?:2:\d+: a source of COPY is empty/,
    peer: 'builds',
    cases: ['copy-empty-1', 'copy-empty-2'],
    reason:
      'an empty source copies the whole context elsewhere: most likely a variable has no value',
  },
  {
    kind: 'refused',
    message: /^DOCKERFILE_INVALID Dockerfile:10:6: app\/n\?pe\/file\.txt matches 2 files/,
    peer: 'builds',
    cases: ['copy-escape-glob'],
    reason:
      'the escape is gone before the pattern is read, so it matches two files; BuildKit keeps the last one ' +
      'without a word, where the Dockerfile reference wants a directory',
  },
  {
    kind: 'refused',
    message: /^BUILD_FAILED Dockerfile:2:1: RUN (?:stat|ls) /,
    peer: 'fails',
    cases: ['mount', 'transient-mount'],
    reason: 'these need `buildah build --volume`, which puts files of the machine into a build',
  },
  {
    kind: 'layers',
    cases: ['stage-container-as-source-plus-hardlinks'],
    reason:
      'a hard link to a file of a lower layer is not one in a layer, so later steps do not see it',
  },
  {
    kind: 'layers',
    cases: ['multistage-builtin-args', 'heredoc-quoting'],
    reason:
      'commands see the times that files have in the image; touch gives these files the time they have, so nothing changes',
  },
  {
    kind: 'files',
    paths: ['env-contents.txt'],
    cases: ['ci-pipeline-modified'],
    reason: 'every RUN has SOURCE_DATE_EPOCH',
  },
  {
    kind: 'config',
    ours: { WorkingDir: '/tmp' },
    theirs: { WorkingDir: '/tmp/' },
    cases: ['workdir with trailing separator'],
    reason: 'a path has no slash at its end, as in buildah; BuildKit 0.13 leaves it',
  },
  {
    kind: 'config',
    ours: { WorkingDir: '/go/src/github.com/openshift/ocp-release-operator-sdk' },
    theirs: { WorkingDir: '/go/src/github.com/openshift/ocp-release-operator-sdk/' },
    cases: ['ci-pipeline-modified'],
    reason: 'a path has no slash at its end, as in buildah; BuildKit 0.13 leaves it',
  },
  {
    kind: 'config',
    ours: {},
    theirs: { ArgsEscaped: true },
    cases: ['edgecases'],
    reason: 'ArgsEscaped is for Windows, and deprecated by the OCI image specification',
  },
  {
    kind: 'builds',
    cases: ['copy-multiple-missing-file-with-nomatch-on-glob'],
    reason:
      'a pattern that matches nothing copies nothing, as in BuildKit; the classic builder fails',
  },
  {
    kind: 'builds',
    cases: ['copy-integration1'],
    reason:
      'a directory that is left out is there for the file below it that is not, as in BuildKit; the classic builder fails',
  },
  {
    kind: 'line',
    line: 2,
    cases: [
      'dockerignore-allowlist-alternating-nothing',
      'dockerignore-allowlist-alternating-other',
    ],
    reason: 'as in git, a context has no empty directories, and of this one all files are ignored',
  },
];
