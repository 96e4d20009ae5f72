/**
 * Gives `target` a property of its own under any name. A plain assignment to `__proto__` would change the prototype
 * instead, and names come from data.
 */
export function setOwn<T>(target: Record<string, T>, name: string, value: T): void {
  if (name === '__proto__') {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[name] = value;
  }
}
