/** The code points at which UTF-8 changes its length and around what it leaves out: one bit further is no text any more. */
export const EDGE_TEXT = '\u007f\u0080\u07ff\u0800\ud7ff\ue000\ufffd\u{10000}\u{10ffff}';
