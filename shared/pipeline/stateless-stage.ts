import type { FilterStage, FlatMapStage, MapStage } from './definition.ts';
import { requireSynchronous } from './synchronous.ts';

export function mapStage<T>(apply: (value: T) => unknown, what = 'map'): MapStage {
  return { kind: 'map', apply: (value) => requireSynchronous(apply(value as T), what) };
}

export function flatMapStage<T>(apply: (value: T) => Iterable<unknown>): FlatMapStage {
  return { kind: 'flatMap', apply: (value) => requireSynchronous(apply(value as T), 'flatMap') };
}

export function filterStage<T>(apply: (value: T) => boolean): FilterStage {
  return { kind: 'filter', apply: (value) => requireSynchronous(apply(value as T), 'filter') };
}
