/** What the intrinsic functions of a template can see. */
export interface IntrinsicScope {
  /** The value of a parameter, a pseudo parameter or a resource; `NO_VALUE` for AWS::NoValue. */
  ref(name: string, place: Place): unknown;
  attribute(logicalId: string, attribute: string, place: Place): string;
  condition(name: string, place: Place): boolean;
  mapping(map: string, top: string, second: string): unknown;
  /** What another stack exports under the name. */
  imported(name: string, place: Place): unknown;
}

/** What `Ref: AWS::NoValue` gives: the property, or list element, that holds it is left out. */
export const NO_VALUE: unique symbol = Symbol('AWS::NoValue');

/** Where in the template something stands, for messages. */
export class Place {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  in(step: string | number): Place {
    return new Place(`${this.#path}.${step}`);
  }

  error(message: string): Error {
    return new Error(`${this.#path}: ${message}`);
  }
}
