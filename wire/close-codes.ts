/** PROTOCOL.md §11. */
export const CLOSE_CODES = {
  NO_ERROR: 0,
  INTERNAL: 1,
  PROTOCOL_VIOLATION: 2,
  FRAME_ENCODING: 3,
  FLOW_CONTROL: 4,
  STREAM_LIMIT: 5,
  STREAM_STATE: 6,
  FINAL_SIZE: 7,
  KEY_LIMIT: 8,
  SHUTDOWN: 9,
  REFUSED: 10,
} as const;

export type CloseCode = keyof typeof CLOSE_CODES;
