import type { Field } from './yaml-type.ts';

/** A part of a JSON schema, draft 7. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What else a file takes beside what its types say. */
export interface SchemaOptions {
  /** As `isLenient` of a reader. */
  readonly isLenient?: boolean;
  /** Whether `${NAME}` may stand for a value. */
  readonly hasVariables?: boolean;
}

/** Anything with a variable in it, whose value is not known before the file is read. */
const WITH_VARIABLE: JsonSchema = {
  type: 'string',
  pattern: String.raw`\$\{[A-Za-z_][A-Za-z0-9_]*\}`,
};

/** Writes the JSON schema of one file. */
export class SchemaWriter {
  readonly #options: SchemaOptions;
  readonly #definitions = new Map<string, JsonSchema>();

  constructor(options: SchemaOptions = {}) {
    this.#options = options;
  }

  text(pattern: RegExp | undefined): JsonSchema {
    const type = this.#options.isLenient === true ? ['string', 'number', 'boolean'] : 'string';
    // Of a value that is no text, a pattern says nothing.
    return pattern === undefined ? { type } : this.value({ type, pattern: pattern.source });
  }

  /** A single value. */
  value(schema: JsonSchema): JsonSchema {
    return this.#options.hasVariables === true ? { anyOf: [schema, WITH_VARIABLE] } : schema;
  }

  object(fields: readonly (readonly [string, Field<unknown>])[]): JsonSchema {
    const required = fields
      .filter(([, { presence }]) => presence === 'required')
      .map(([key]) => key);
    return {
      type: 'object',
      properties: Object.fromEntries(
        fields.map(([key, { type, about, presence }]) => {
          const schema = type.schema(this);
          return [
            key,
            described(presence === 'required' ? schema : { anyOf: [schema, NOTHING] }, about),
          ];
        }),
      ),
      ...(required.length === 0 ? {} : { required }),
      additionalProperties: false,
    };
  }

  /** A reference to the schema of this name, written once. */
  definition(name: string, write: () => JsonSchema): JsonSchema {
    if (!this.#definitions.has(name)) {
      this.#definitions.set(name, {});
      this.#definitions.set(name, write());
    }
    return { $ref: `#/definitions/${name}` };
  }

  /** The whole document. */
  document(title: string, about: string, schema: JsonSchema): JsonSchema {
    return {
      $schema: 'http://json-schema.org/draft-07/schema#',
      title,
      description: about,
      ...schema,
      ...(this.#definitions.size === 0
        ? {}
        : { definitions: Object.fromEntries(this.#definitions) }),
    };
  }
}

const NOTHING: JsonSchema = { type: 'null' };

/** With `null` among its types instead of beside them where that is possible: editors show it better. */
function described(schema: JsonSchema, description: string): JsonSchema {
  const choices = schema['anyOf'] as readonly JsonSchema[] | undefined;
  const [first, second, ...rest] = choices ?? [];
  if (first?.['anyOf'] !== undefined && second === NOTHING)
    return { description, anyOf: [...(first['anyOf'] as readonly JsonSchema[]), NOTHING] };
  if (first !== undefined && second === NOTHING && rest.length === 0) {
    const { type } = first;
    if (typeof type === 'string') return { description, ...first, type: [type, 'null'] };
    if (Array.isArray(type)) return { description, ...first, type: [...type, 'null'] };
    if (Array.isArray(first['enum']))
      return { description, ...first, enum: [...(first['enum'] as unknown[]), null] };
  }
  // Beside $ref, draft 7 sees nothing.
  return schema['$ref'] === undefined
    ? { description, ...schema }
    : { description, allOf: [schema] };
}
