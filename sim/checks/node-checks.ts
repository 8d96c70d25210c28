import type { Endpoint } from '../../transport/endpoint.ts';
import type { NodeWatch } from '../node.ts';
import { FlightCheck } from './flight.ts';
import { InertCheck } from './inert.ts';

/** What is checked of every node at every input and whenever it sends (I4, I7). */
export class NodeChecks implements NodeWatch {
  readonly inert: InertCheck = new InertCheck();
  readonly flight: FlightCheck = new FlightCheck();

  datagram(endpoint: Endpoint, bytes: Uint8Array, handle: () => void): void {
    this.inert.around(endpoint, bytes, handle);
  }

  timeout(endpoint: Endpoint): void {
    this.flight.timeout(endpoint);
  }

  beforeSending(endpoint: Endpoint): void {
    this.flight.before(endpoint);
  }

  afterSending(): void {
    this.flight.after();
  }
}
