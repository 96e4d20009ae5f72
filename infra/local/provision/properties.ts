import type { ResolvedResource } from '../template/resource-identity.ts';
import { isRecord } from '../template/template.ts';

/**
 * Reads the properties of a resolved resource. CloudFormation takes numbers and booleans as text too, which is what a
 * parameter gives.
 */
export class Properties {
  readonly #place: string;
  readonly #values: Readonly<Record<string, unknown>>;

  private constructor(place: string, values: Readonly<Record<string, unknown>>) {
    this.#place = place;
    this.#values = values;
  }

  static of(resource: ResolvedResource): Properties {
    return new Properties(`${resource.logicalId} (${resource.type})`, resource.properties);
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    if (value === undefined || typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw this.#error(name, 'a text');
  }

  requiredText(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new Error(`${this.#place}: ${name} is missing; CloudFormation wants it.`);
    return value;
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value)) throw this.#error(name, 'a number');
    return value;
  }

  boolean(name: string): boolean | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (text !== 'true' && text !== 'false') throw this.#error(name, 'true or false');
    return text === 'true';
  }

  /** The properties below one, or undefined where it is not there. */
  inner(name: string): Properties | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    if (!isRecord(value)) throw this.#error(name, 'an object');
    return new Properties(`${this.#place}: ${name}`, value);
  }

  /** Empty where the property is not there. */
  list(name: string): Properties[] {
    const value = this.#values[name];
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.#error(name, 'a list of objects');
    return value.map((element: unknown, index) => {
      if (!isRecord(element)) throw this.#error(`${name}.${index}`, 'an object');
      return new Properties(`${this.#place}: ${name}.${index}`, element);
    });
  }

  /** A map of texts; empty where the property is not there. */
  texts(name: string): Record<string, string> {
    const inner = this.inner(name);
    if (inner === undefined) return {};
    return Object.fromEntries(Object.keys(inner.#values).map((key) => [key, inner.requiredText(key)]));
  }

  /** The value as it is. */
  raw(name: string): unknown {
    return this.#values[name];
  }

  #error(name: string, wanted: string): Error {
    return new Error(
      `${this.#place}: ${name} is ${JSON.stringify(this.#values[name])}; it should be ${wanted}.`,
    );
  }
}
