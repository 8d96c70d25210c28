/**
 * Every code there is, with what it means: one code for one thing, wherever it is found out. What is not here does not compile.
 *
 * A code says what a program could do something about; which port, which file, how long stands in the message. ERRORS.md is this
 * table for people. Codes stay what they are: programs test for them.
 */
export const ERROR_CODES = {
  // What a program asked for.
  ERR_WARREN_ARGUMENT: 'what was asked for cannot be: the message says which argument, the hint what it has to be',
  ERR_WARREN_CANCELLED: 'the program, or whoever sat before it, called it off',
  ERR_WARREN_CLOSED: 'the program has closed that node, port or connection itself',
  ERR_WARREN_LIMIT: 'one of the bounds of this node or of the other is reached; what is there goes on',
  ERR_WARREN_NO_FREE_PORT: 'no dynamic port is left for this program',
  ERR_WARREN_PORT_TAKEN: 'another program has that port of this node',
  ERR_WARREN_DATAGRAM_TOO_LARGE: 'the datagram is longer than what every path carries',
  ERR_WARREN_TIMEOUT: 'the time that was given for it ran out',
  ERR_WARREN_SHUTDOWN: 'this node is stopping: nothing new begins, and what was open ends',

  // Peers.
  ERR_WARREN_UNKNOWN_PEER: 'this node knows no peer of that name, address or key',
  ERR_WARREN_AMBIGUOUS_PEER: 'several peers have that address',
  ERR_WARREN_RECORD: 'this is no identity record, or none that can be believed',
  ERR_WARREN_RECORD_CONFLICT: 'another record of that node with the same number is known',
  ERR_WARREN_OWN_RECORD: "a node's own record was to be added as a peer",
  ERR_WARREN_NAME_TAKEN: 'that name is what this node calls another peer, or itself',
  ERR_WARREN_NETWORK: 'that node belongs to another network',
  ERR_WARREN_PEER_BOOK: 'the saved peer book cannot be used',

  // Reaching a peer, and losing it.
  ERR_WARREN_NO_ROUTE: 'it is not known where that peer can be reached',
  ERR_WARREN_UNREACHABLE: 'that peer does not answer, or its host name has no address',
  ERR_WARREN_NOT_TRUSTED: 'that peer does not let this node in, or not to that port',
  ERR_WARREN_REFUSED: 'nobody listens on that port there',
  ERR_WARREN_BACKLOG_FULL: 'too many streams wait at that port there',
  ERR_WARREN_RESET: 'the program at the far side gave the stream up',
  ERR_WARREN_PEER_TIMEOUT: 'a peer that had answered does not any more',
  ERR_WARREN_PEER_CLOSED: 'the tunnel to that peer was closed in order, mostly because it stops',
  ERR_WARREN_PEER_RESTARTED: 'that peer was started anew, and what was open is gone there',
  ERR_WARREN_PEER_REMOVED: 'that peer was removed from the peer book of this node',
  ERR_WARREN_NOT_AN_ECHO: 'what listens on port 7 of that peer does not echo',
  ERR_WARREN_WRONG_ECHO: 'what came back through the echo service is not what was sent',
  ERR_WARREN_CONGESTION_IN_USE: 'there is a tunnel to that peer already, under another congestion control',

  // The daemon and its local socket.
  ERR_WARREN_DAEMON_NOT_RUNNING: 'no daemon answers there',
  ERR_WARREN_DAEMON_STOPPED: 'the daemon was stopped in order while the program was connected',
  ERR_WARREN_DAEMON_GONE: 'the connection to the daemon broke: it crashed or was killed',
  ERR_WARREN_NOT_ALLOWED: "that is for the node's owner, on admin.sock",
  ERR_WARREN_NOT_YOUR_PORT: 'that port belongs to another control connection, or to none',
  ERR_WARREN_STREAM_GONE: 'no stream waits under that token, for this client',
  ERR_WARREN_CLIENT: 'no control connection of that socket has this client token',
  ERR_WARREN_HELLO: 'something was asked before hello',
  ERR_WARREN_VERSION: 'the program and the daemon speak different versions of the local protocol',
  ERR_WARREN_UNKNOWN_COMMAND: 'this daemon knows no such command',
  ERR_WARREN_PROTOCOL: 'what the other side said cannot be read, or breaks the rules',

  // Starting a daemon, or a node with a state directory.
  ERR_WARREN_ALREADY_RUNNING: 'a daemon is at work there already',
  ERR_WARREN_NOT_STARTED: 'the daemon ended, or was not ready in time, without saying why',
  ERR_WARREN_SELF_TEST: 'two nodes inside the daemon could not talk to each other',
  ERR_WARREN_UDP_PORT_IN_USE: 'another program has that UDP port',
  ERR_WARREN_BIND: 'the UDP socket cannot be bound there, for another reason',
  ERR_WARREN_LOCK_LOST: 'the lock of a directory was removed, or is another daemon’s by now',
  ERR_WARREN_LOCK_UNREADABLE: 'the lock of a directory does not say whose it is',
  ERR_WARREN_SOCKET: 'the local socket can be neither listened at nor connected to, for a reason of the system’s',
  ERR_WARREN_SOCKET_PATH: 'the path of the local socket is longer than systems take',
  ERR_WARREN_SOCKET_UNSAFE: 'somebody else could have put there what is at the path of the local socket',
  ERR_WARREN_SERVICE_PATH: 'a path or flag cannot stand in a service file',
  ERR_WARREN_DEMO: 'a daemon of the demonstration did not start',
  ERR_WARREN_WRONG_FILE: 'the demonstration’s file did not arrive as it was sent',

  // Files and directories.
  ERR_WARREN_FILE_MISSING: 'there is no such file or directory',
  ERR_WARREN_FILE_ACCESS: 'the system does not allow it',
  ERR_WARREN_FILE_TOO_LARGE: 'a file is larger than any that warren writes there',
  ERR_WARREN_FILE_IO: 'the system could not read or write it, for another reason',
  ERR_WARREN_NOT_A_FILE: 'something else stands where a file should',
  ERR_WARREN_NOT_A_DIRECTORY: 'something else stands where a directory should',
  ERR_WARREN_DIRECTORY_OWNER: 'a directory that is to be ours belongs to another user',
  ERR_WARREN_DIRECTORY_OPEN: 'other users have access to a directory that is to be ours alone',
  ERR_WARREN_DISK_FULL: 'the disk is full, or what this user may use of it',
  ERR_WARREN_READ_ONLY: 'the file system is read-only',
  ERR_WARREN_NO_LINKS: 'the file system has no hard links',
  ERR_WARREN_CONFIG_FILE: 'the configuration file cannot be read',
  ERR_WARREN_OUTPUT: 'standard output cannot be written',

  // The key file, and its passphrase.
  ERR_WARREN_KEY_FILE_SEALED: 'the key file is sealed, and no passphrase was given',
  ERR_WARREN_KEY_FILE_NOT_SEALED: 'a passphrase was given, and the key file is not sealed',
  ERR_WARREN_KEY_FILE_PASSPHRASE: 'the passphrase is wrong, or the key file was changed',
  ERR_WARREN_KEY_FILE_DAMAGED: 'the key file is not one, or was changed',
  ERR_WARREN_KEY_FILE_VERSION: 'the key file is of a version that is not known here',
  ERR_WARREN_KEY_FILE_NETWORK: 'the key file belongs to another network',
  ERR_WARREN_KEY_FILE_OWNER: 'the key file belongs to another user',
  ERR_WARREN_KEY_FILE_PERMISSIONS: 'other users have access to the key file',
  ERR_WARREN_KEY_FILE_NOT_PRIVATE: 'the file system does not keep a key file private',
  ERR_WARREN_KEY_FILE_EXISTS: 'there is a key file already, which was left as it is',
  ERR_WARREN_PASSPHRASE_FILE: 'the passphrase file is open to others, or holds no passphrase',

  // The command line and the settings.
  ERR_WARREN_USAGE: 'the command line is wrong',
  ERR_WARREN_CONFIG_KEY: 'there is no such setting',
  ERR_WARREN_CONFIG_VALUE: 'a setting cannot have that value',
  ERR_WARREN_CONFIG_SYNTAX: 'the configuration file is not written as such files are',
  ERR_WARREN_ENDPOINT: 'this is no endpoint, or none at which a single node can be',

  // A fault of ours.
  ERR_WARREN_INTERNAL: 'warren has a fault: please report it',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;
