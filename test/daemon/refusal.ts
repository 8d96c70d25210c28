import { WarrenError } from '../../base/errors.ts';

/** What a step is refused with; it is an error if it is not. */
export function refusal(step: () => unknown): WarrenError {
  try {
    step();
  } catch (error) {
    if (error instanceof WarrenError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
