import type { OwnCase } from '../own-case.ts';

const DATA = { 'a.txt': 'a\n', 'd/b': 'b\n' } as const;

const CASES: readonly OwnCase[] = [
  {
    name: 'a stage by name',
    dockerfile: ['FROM base AS one', 'RUN echo 1 > /f', 'FROM scratch', 'COPY --from=one /f /g'],
  },
  {
    name: 'a stage by number',
    dockerfile: ['FROM base', 'RUN echo 1 > /f', 'FROM scratch', 'COPY --from=0 /f /g'],
  },
  {
    name: 'a stage by name in capitals',
    dockerfile: ['FROM base AS One', 'RUN echo 1 > /f', 'FROM scratch', 'COPY --from=ONE /f /g'],
  },
  {
    name: 'FROM a stage in capitals',
    dockerfile: ['FROM base AS One', 'RUN echo 1 > /f', 'FROM ONE', 'RUN echo 2 > /g'],
    expect: { divergence: 'names in capitals', buildkitFails: /must be lowercase/ },
  },
  { name: 'a stage of an image', dockerfile: ['FROM scratch', 'COPY --from=base /etc/passwd /p'] },
  {
    name: 'two stages of one name',
    dockerfile: [
      'FROM base AS s',
      'RUN echo 1 > /f',
      'FROM base AS s',
      'RUN echo 2 > /f',
      'FROM scratch',
      'COPY --from=s /f /f',
    ],
  },
  {
    name: 'a later stage',
    dockerfile: [
      'FROM base AS one',
      'COPY --from=two /f /g',
      'FROM base AS two',
      'RUN echo 1 > /f',
      'FROM one',
    ],
    expect: { divergence: 'later stages', buildkitFails: /needs to be defined before/ },
  },
  {
    name: 'a stage of the own number',
    dockerfile: ['FROM base', 'COPY --from=0 /etc/passwd /g'],
    expect: { bothFail: /cannot copy from itself/ },
  },
  {
    name: 'a number without a stage',
    dockerfile: ['FROM base', 'COPY --from=7 /etc/passwd /g'],
    expect: { bothFail: /there is no stage 7/ },
  },
  {
    name: 'two stages that need each other',
    dockerfile: ['FROM base AS a', 'COPY --from=b /f /f', 'FROM base AS b', 'COPY --from=a /f /f'],
    expect: { bothFail: /depend on each other/ },
  },
  {
    name: 'a stage that nothing needs',
    dockerfile: [
      'FROM unpinned.invalid/tool:1 AS bad',
      'RUN exit 1',
      'FROM base',
      'RUN echo 1 > /f',
    ],
  },
  { name: 'an empty last stage', dockerfile: ['FROM base AS one', 'RUN echo 1 > /f', 'FROM one'] },
  {
    name: 'a stage FROM scratch in capitals',
    dockerfile: ['FROM SCRATCH', 'COPY a.txt /'],
    expect: { divergence: 'names in capitals', buildkitFails: /./ },
  },
  {
    name: 'a variable as stage',
    dockerfile: [
      'ARG WHICH=two',
      'FROM base AS one',
      'RUN echo 1 > /f',
      'FROM base AS two',
      'RUN echo 2 > /f',
      'FROM $WHICH',
      'COPY a.txt /',
    ],
  },
  {
    name: 'a build argument as stage',
    buildArgs: { WHICH: 'one' },
    dockerfile: [
      'ARG WHICH=two',
      'FROM base AS s-one',
      'RUN echo 1 > /f',
      'FROM base AS s-two',
      'RUN echo 2 > /f',
      'FROM s-$WHICH',
      'COPY a.txt /',
    ],
  },
  {
    name: 'a variable as --from',
    dockerfile: [
      'ARG S=one',
      'FROM base AS one',
      'FROM scratch',
      'ARG S',
      'COPY --from=$S /etc/passwd /p',
    ],
    expect: { bothFail: /./ },
  },
  {
    name: 'an ARG before FROM inside of a stage',
    dockerfile: ['ARG V=1', 'FROM base', 'RUN echo "[$V]" > /f', 'ARG V', 'RUN echo "[$V]" > /g'],
  },
  {
    name: 'the environment of a stage is inherited',
    dockerfile: [
      'FROM base AS one',
      'ENV A=1',
      'ARG B=2',
      'WORKDIR /w',
      'USER bin',
      'LABEL l=m',
      'FROM one',
      'RUN echo "$A $B $(pwd) $(id -u)" > /tmp/f',
    ],
  },
  {
    name: 'COPY --from takes no environment',
    dockerfile: ['FROM base AS one', 'ENV A=/etc', 'FROM base', 'COPY --from=one $A/passwd /x'],
    expect: { bothFail: /./ },
  },
  {
    name: 'a relative source of a stage',
    dockerfile: [
      'FROM base AS one',
      'WORKDIR /w',
      'RUN echo 1 > f',
      'FROM scratch',
      'COPY --from=one w/f /f',
    ],
  },
  {
    name: 'a source above the root of a stage',
    dockerfile: ['FROM base AS one', 'FROM scratch', 'COPY --from=one ../../etc/passwd /f'],
  },
  {
    name: 'a pattern in a stage',
    dockerfile: [
      'FROM base AS one',
      'RUN mkdir /o && echo 1 > /o/a1 && echo 2 > /o/a2 && echo 3 > /o/b',
      'FROM scratch',
      'COPY --from=one /o/a* /p/',
    ],
  },
  {
    name: 'a symbolic link in the path of a stage',
    dockerfile: [
      'FROM base AS one',
      'RUN mkdir -p /o/s && echo 1 > /o/s/f && ln -s o/s /t && ln -s /o/s /u',
      'FROM scratch',
      'COPY --from=one /t/f /1',
      'COPY --from=one /u/f /2',
    ],
  },
  {
    name: 'a symbolic link as the source of a stage',
    dockerfile: [
      'FROM base AS one',
      'RUN mkdir -p /o/s && echo 1 > /o/s/f && ln -s o/s /t',
      'FROM scratch',
      'COPY --from=one /t /1',
    ],
  },
  {
    name: 'the whole stage',
    dockerfile: [
      'FROM base AS one',
      'RUN mkdir -p /o && echo 1 > /o/f',
      'FROM scratch',
      'COPY --from=one / /',
    ],
  },
  {
    name: 'hard links of a stage',
    dockerfile: [
      'FROM base AS one',
      'RUN mkdir /o && echo 1 > /o/a && ln /o/a /o/b',
      'FROM scratch',
      'COPY --from=one /o /o',
    ],
  },
  {
    name: 'hard links as two sources',
    dockerfile: [
      'FROM base AS one',
      'RUN echo 1 > /a && ln /a /b',
      'FROM scratch',
      'COPY --from=one /a /b /o/',
    ],
  },
  {
    name: 'special files of a stage',
    dockerfile: [
      'FROM base AS one',
      'RUN mkdir /o && mkfifo -m 640 /o/p && mknod /o/n c 1 3 && mknod /o/b b 7 0',
      'FROM scratch',
      'COPY --from=one /o /o',
    ],
    expect: { divergence: 'block devices', files: ['o/b'] },
  },
  {
    name: 'owners and modes of a stage',
    dockerfile: [
      'FROM base AS one',
      'RUN mkdir -m 1770 /o && echo 1 > /o/f && chmod 6751 /o/f && chown 3:4 /o/f && chmod 6751 /o/f',
      'FROM scratch',
      'COPY --from=one /o /o',
    ],
  },
  {
    name: 'a file of a stage that was removed',
    dockerfile: [
      'FROM base AS one',
      'RUN echo 1 > /f',
      'RUN rm /f',
      'FROM scratch',
      'COPY --from=one /f /f',
    ],
    expect: { bothFail: /\/?f is not in stage one/ },
  },
  {
    name: 'a directory that was replaced',
    dockerfile: [
      'FROM base',
      'RUN mkdir /o && echo 1 > /o/a && echo 2 > /o/b',
      'RUN rm -r /o && mkdir /o && echo 3 > /o/c',
    ],
  },
  {
    name: 'a directory that became a file',
    dockerfile: ['FROM base', 'RUN mkdir /o && echo 1 > /o/a', 'RUN rm -r /o && echo 3 > /o'],
  },
  {
    name: 'a file that became a directory',
    dockerfile: ['FROM base', 'RUN echo 1 > /o', 'RUN rm /o && mkdir /o && echo 3 > /o/a'],
  },
  {
    name: 'a renamed directory',
    dockerfile: ['FROM base', 'RUN mkdir /o && echo 1 > /o/a', 'RUN mv /o /n'],
  },
  {
    name: 'a file moved over another',
    dockerfile: ['FROM base', 'RUN echo 1 > /a && echo 22 > /b', 'RUN mv /a /b'],
  },
  {
    name: 'a file moved over another of its size and time',
    dockerfile: ['FROM base', 'RUN echo 1 > /a && echo 2 > /b && touch -r /a /b', 'RUN mv /a /b'],
    expect: { divergence: 'moved files', files: ['b'] },
  },
  {
    name: 'metadata only',
    dockerfile: [
      'FROM base',
      'RUN echo 1 > /a',
      'RUN chmod 600 /a',
      'RUN chown 1:2 /a',
      'RUN touch -d @5 /a',
    ],
  },
  {
    name: 'a change that is taken back',
    dockerfile: ['FROM base', 'RUN echo 1 > /a', 'RUN chmod 600 /a && chmod 644 /a'],
  },
  { name: 'a file that comes and goes', dockerfile: ['FROM base', 'RUN echo 1 > /a && rm /a'] },
  { name: 'a RUN that changes nothing', dockerfile: ['FROM base', 'RUN true'] },
  { name: 'a platform', dockerfile: ['FROM --platform=linux/amd64 base', 'RUN echo 1 > /a'] },
  {
    name: 'platform variables',
    dockerfile: [
      'FROM --platform=$BUILDPLATFORM base',
      'ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDOS BUILDARCH BUILDVARIANT',
      'RUN echo "$TARGETPLATFORM $TARGETOS $TARGETARCH [$TARGETVARIANT] $BUILDPLATFORM $BUILDOS $BUILDARCH [$BUILDVARIANT]" > /a',
    ],
  },
  {
    name: 'platform variables that are not declared',
    dockerfile: ['FROM base', 'RUN echo "[$TARGETARCH]" > /a'],
  },
  {
    name: 'a platform variable with a default',
    dockerfile: ['FROM base', 'ARG TARGETARCH=mine', 'RUN echo "[$TARGETARCH]" > /a'],
  },
  {
    name: 'triggers of a base',
    images: {
      parent: ['FROM base', 'ONBUILD COPY a.txt /a', 'ONBUILD RUN cat /a > /b', 'ONBUILD ENV E=1'],
    },
    dockerfile: ['FROM parent', 'RUN echo $E > /c'],
  },
  {
    name: 'triggers run once',
    images: { parent: ['FROM base', 'ONBUILD RUN echo 1 >> /b'] },
    dockerfile: ['FROM parent AS one', 'FROM one', 'RUN echo 2 >> /b'],
  },
  {
    name: 'a trigger that names a stage',
    images: { parent: ['FROM base', 'ONBUILD COPY --from=tools /t /t'] },
    dockerfile: ['FROM base AS tools', 'RUN echo 1 > /t', 'FROM parent'],
    expect: { divergence: 'triggers that name stages', buildkitFails: /cannot copy from stage/ },
  },
  {
    name: 'a trigger that is no instruction',
    dockerfile: ['FROM base', 'ONBUILD BOGUS x'],
    expect: { divergence: 'invalid triggers', lktFails: /unknown instruction: BOGUS/ },
  },
  {
    name: 'triggers of a stage',
    dockerfile: ['FROM base AS one', 'ONBUILD RUN echo 1 > /b', 'FROM one'],
  },
  {
    name: 'triggers for others',
    dockerfile: ['FROM base', 'ONBUILD RUN echo "$A"', 'ONBUILD COPY . /'],
  },
  {
    name: 'a directory of which a command changed only the time',
    dockerfile: [
      'FROM base AS one',
      'RUN mkdir -p /x/one',
      'RUN touch -d @100000 /x/one',
      'FROM base',
      'COPY --from=one /x /q',
    ],
    expect: { divergence: 'times of directories', files: ['q/one'] },
  },
  {
    name: 'a trigger that ends with blanks',
    dockerfile: ['FROM base', 'ONBUILD RUN true  '],
    expect: {
      divergence: 'blanks at the end',
      ours: { OnBuild: ['RUN true'] },
      theirs: { OnBuild: ['RUN true  '] },
    },
  },
  {
    name: 'a trigger of a trigger',
    dockerfile: ['FROM base', 'ONBUILD ONBUILD RUN true'],
    expect: { bothFail: /./ },
  },
  {
    name: 'a trigger with FROM',
    dockerfile: ['FROM base', 'ONBUILD FROM base'],
    expect: { bothFail: /./ },
  },
  {
    name: 'a config of a base',
    images: {
      parent: [
        'FROM base',
        'ENV A=1 B=2',
        'WORKDIR /w',
        'USER bin',
        'EXPOSE 80',
        'VOLUME /v',
        'LABEL l=m',
        'STOPSIGNAL SIGINT',
        'ENTRYPOINT ["e"]',
        'CMD ["c"]',
        'HEALTHCHECK CMD true',
        'SHELL ["/bin/sh", "-ec"]',
      ],
    },
    dockerfile: [
      'FROM parent',
      'ENV A=2 C=3',
      'EXPOSE 90/udp',
      'VOLUME /x',
      'LABEL n=o',
      'RUN pwd > /tmp/f; id -un >> /tmp/f',
    ],
  },
  {
    name: 'ENTRYPOINT clears the CMD of a base',
    images: { parent: ['FROM base', 'CMD ["c"]'] },
    dockerfile: ['FROM parent', 'ENTRYPOINT ["e"]'],
  },
  {
    name: 'ENTRYPOINT after CMD keeps it',
    dockerfile: ['FROM base', 'CMD ["c"]', 'ENTRYPOINT ["e"]'],
  },
  {
    name: 'an empty ENTRYPOINT',
    images: { parent: ['FROM base', 'ENTRYPOINT ["e"]', 'CMD ["c"]'] },
    dockerfile: ['FROM parent', 'ENTRYPOINT []'],
  },
  {
    name: 'an empty CMD',
    images: { parent: ['FROM base', 'CMD ["c"]'] },
    dockerfile: ['FROM parent', 'CMD []'],
  },
];

/** Stages, COPY --from and images. */
export const STAGE_CASES: readonly OwnCase[] = CASES.map((item) => ({
  ...item,
  context: { ...DATA, ...item.context },
}));
