/** Two new packages: a kernel, and its configuration. */
export interface NewKernel {
  /** Name of the image and of the directory. */
  readonly name: string;
  /** Undefined if lkt.yml has it. */
  readonly org?: string | undefined;
  /** Organization of the sources and tools: `lkt`. */
  readonly tools: string;
}

/** The images that a kernel is built from, after the organization. */
export const KERNEL_TOOLS = ['linux-build', 'linux-source', 'linux-tools'] as const;

/** Returns the name of the package with the configuration of a kernel. */
export function configOf(name: string): string {
  return `${name}-config`;
}

/**
 * Returns the files of a kernel and of its configuration, by path. They are two packages, so that a
 * configuration is checked without compiling, and one with the same result compiles nothing.
 */
export function kernelFiles({ name, org, tools }: NewKernel): Readonly<Record<string, string>> {
  const config = configOf(name);
  const owner = org === undefined ? '' : `org: ${org}\n`;
  const source = `${tools}/linux-source`;
  const scripts = `COPY --from=${tools}/linux-build / /\n`;
  const sources = '--mount=type=bind,from=source,source=/usr/src,target=/sources';
  return {
    [`${config}/build.yml`]: `# The configuration of ${tools}/linux, changed by the fragments in FRAGMENTS: own.config and other
# *.config of this directory, and those of ${tools}/linux-build, such as nfs.config. The last one wins.
${owner}image: ${config}
arches: [amd64]
buildArgs:
  - FRAGMENTS=own.config
`,
    [`${config}/Dockerfile`]: `FROM ${source} AS source

FROM ${tools}/linux-tools AS build
${scripts}COPY *.config /optional/
ARG FRAGMENTS
RUN ${sources} \\
    /build/make-config $FRAGMENTS

FROM scratch
COPY --from=build /out/ /
`,
    [`${config}/own.config`]: `# Options over those of ${tools}/linux, one a line: CONFIG_, the name, and "=y" or another value. To turn
# one off: "# CONFIG_", the name, and "is not set".
`,
    [`${name}/build.yml`]: `# The kernel with the configuration of ../${config}, in the form of LinuxKit's kernel images.
${owner}image: ${name}
arches: [amd64]
buildArgs:
  - CONFIG=@lkt:pkg:../${config}
`,
    [`${name}/Dockerfile`]: `ARG CONFIG

FROM ${source} AS source

FROM \${CONFIG} AS config

FROM ${tools}/linux-tools AS build
${scripts}COPY --from=config /kernel-config /kernel-config
ARG SOURCE_DATE_EPOCH
RUN ${sources} \\
    --mount=type=cache,id=lkt-linux-objects,target=/ccache \\
    CCACHE_DIR=/ccache /build/make-kernel /kernel-config

FROM scratch
COPY --from=build /out/ /
`,
  };
}
