/** What this system or this build of warren does not have: the case is left out, and the run says so. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
