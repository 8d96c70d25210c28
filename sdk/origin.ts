import type { HomeNodeOptions, WhereToListen } from '../daemon/home.ts';
import type { Node } from '../daemon/node.ts';

/** Where a node comes from: who it is, and what it remembers. */
export interface Origin {
  open(listen: WhereToListen['listen'], options: HomeNodeOptions): Promise<Node>;
  /** The node is closed. */
  close(): void;
  /** There will be none: what was made for it goes too. */
  undo(): void;
}
