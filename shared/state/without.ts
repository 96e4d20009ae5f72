/** A copy of an object without one of its properties. */
export function without<T extends object, K extends keyof T>(object: T, name: K): Omit<T, K> {
  const copy: Partial<T> = { ...object };
  delete copy[name];
  return copy as Omit<T, K>;
}
