import type { RequestPlan } from '@lkt/builder';
import { imageKey, type StagePlan, type Step } from '@lkt/dockerfile';
import { contextNames } from './named-contexts.ts';

/** What a vertex of BuildKit's graph is to the user. */
export interface VertexMeaning {
  /** As the native engine has it for the same step. */
  readonly id: string;
  readonly title: string;
  /** undefined for what goes over the network before and after the steps. */
  readonly step: Step | undefined;
}

/** `[linux/amd64 stage 2/5] RUN …`: the first two only where there are several. */
const STEP = /^\[(?:\S+\/\S+ )?(?:([^\s/]+) )?(\d+)\/\d+\] (\S+)/;

/** Finds out by their names what vertexes are: BuildKit says nothing else of them. */
export class VertexNames {
  readonly #name: string;
  readonly #stages: readonly StagePlan[];
  readonly #images: ReadonlyMap<string, string>;

  constructor(
    name: string,
    planned: Pick<RequestPlan, 'plan' | 'references' | 'triggerReferences'>,
  ) {
    this.#name = name;
    this.#stages = planned.plan.stages;
    const names = contextNames(planned);
    this.#images = new Map(
      [...planned.references, ...planned.triggerReferences].map((reference) => [
        names.get(imageKey(reference)) ?? '',
        reference.text,
      ]),
    );
  }

  /** @returns undefined for what is BuildKit's own business */
  meaning(vertex: string): VertexMeaning | undefined {
    const [, label, number = '', keyword = ''] = STEP.exec(vertex) ?? [];
    if (number !== '') return this.#step(label, Number(number), keyword, vertex);
    const transfer = this.#transfer(vertex);
    if (transfer === undefined) return undefined;
    const [key, title] = transfer;
    return { id: `${this.#name}:${key}`, title, step: undefined };
  }

  #step(
    label: string | undefined,
    number: number,
    keyword: string,
    vertex: string,
  ): VertexMeaning | undefined {
    const text = vertex.slice(vertex.indexOf('] ') + 2);
    const candidates = this.#stages.flatMap((stage) => {
      if (label !== undefined && (stage.name ?? `stage-${stage.index}`) !== label) return [];
      // WORKDIR / does nothing, and has no number; nor has FROM, where the image is handed over.
      const numbered = stage.steps.filter((step) => step.kind !== 'workdir' || step.path !== '/');
      const step = numbered[number - 1];
      return step !== undefined && mayBe(step, keyword.toUpperCase()) ? [{ stage, step }] : [];
    });
    // Stages may have one name; variables in titles are replaced.
    const found = candidates.find(({ step }) => step.title === text) ?? candidates[0];
    if (found === undefined) return undefined;
    const { stage, step } = found;
    const name = stage.name ?? String(stage.index);
    const at = stage.steps.indexOf(step) + 1;
    return {
      id: `${this.#name}:${name}/${at}`,
      title: `[${name} ${at}/${stage.steps.length}] ${step.title}`,
      step,
    };
  }

  #transfer(vertex: string): readonly [key: string, title: string] | undefined {
    const image = /^\[context (lkt-base-\d+)\]/.exec(vertex)?.[1];
    if (image !== undefined) return [image, `send ${this.#images.get(image) ?? image}`];
    if (vertex === '[internal] load build context') return ['context', 'send the build context'];
    if (vertex.startsWith('exporting to oci')) return ['layers', 'take the layers'];
    if (vertex.startsWith('importing cache manifest')) return ['cache-from', 'look at the cache'];
    if (vertex.startsWith('exporting cache')) return ['cache-to', 'push the cache'];
    return undefined;
  }
}

/** Triggers stand in the Dockerfile as what they do, and what an ADD fetches is copied. */
function mayBe({ kind, instruction }: Step, keyword: string): boolean {
  return instruction.keyword === keyword || (kind === 'add' && keyword === 'COPY');
}
