import { dynamodb, outputsOf, pipeline } from '../../shared/index.ts';
import airportDelays, { type DelayStats } from '../airport-delays/pipeline.ts';

/** Fewer flights say nothing about an airport. */
const LEAST_FLIGHTS = 20;

/** Shares of late flights up to which an airport has a grade. */
const GRADES: readonly (readonly [highestShare: number, grade: string])[] = [
  [0.1, 'A'],
  [0.15, 'B'],
  [0.2, 'C'],
  [0.25, 'D'],
];

/** What a page about airports shows. */
export interface AirportGrade {
  grade: string;
  /** How many flights it is judged by. */
  flights: number;
}

/**
 * Reads what airport-delays publishes: of an airport's changes only the newest counts, and the grade follows from it
 * alone. Each airport stands under its code in the table.
 */
export default pipeline('airport-grades')
  .from(outputsOf<DelayStats>(airportDelays, 'airport-delays', { withKey: true }))
  .filter(({ value }) => value.flights >= LEAST_FLIGHTS)
  .keyBy((airport) => airport.key)
  .updateStateByKey<AirportGrade>('grade', ([airport]) => airport && gradeOf(airport.value))
  .to(dynamodb('airport-grades'));

function gradeOf({ lateShare, flights }: DelayStats): AirportGrade {
  const [, grade] = GRADES.find(([highestShare]) => lateShare <= highestShare) ?? [1, 'E'];
  return { grade, flights };
}
