import type { CommandEntry } from '../command.ts';

/** All there are, in the order in which a newcomer meets them. What a command needs is loaded with it, and not before. */
export const COMMANDS: readonly CommandEntry[] = [
  { usage: 'up', summary: 'run a daemon', load: async () => (await import('./up.ts')).up },
  { usage: 'down', summary: 'end the daemon', load: async () => (await import('./down.ts')).down },
  { usage: 'status', summary: 'how the daemon is', load: async () => (await import('./status.ts')).status },
  { usage: 'demo', summary: 'two nodes at work on this machine', load: async () => (await import('./demo.ts')).demo },
  {
    usage: 'record',
    summary: "this node's record, to give to others",
    load: async () => (await import('./record.ts')).record,
  },
  {
    usage: 'peer add <RECORD>',
    summary: 'let a node in, by its record',
    load: async () => (await import('./peer-add.ts')).peerAdd,
  },
  {
    usage: 'peer list',
    summary: 'the nodes that are let in',
    load: async () => (await import('./peer-list.ts')).peerList,
  },
  {
    usage: 'peer remove <PEER>',
    summary: 'let a node in no longer',
    load: async () => (await import('./peer-remove.ts')).peerRemove,
  },
  {
    usage: 'peers',
    summary: 'the nodes and how they are reached',
    load: async () => (await import('./peers.ts')).peers,
  },
  {
    usage: 'ping <PEER>',
    summary: 'how long the way to a node and back takes',
    load: async () => (await import('./ping.ts')).ping,
  },
  { usage: 'why <PEER>', summary: 'why a node is reached or not', load: async () => (await import('./why.ts')).why },
  {
    usage: 'listen <PORT>',
    summary: 'take a stream: standard input and output become its two ways',
    speaksOnStderr: true,
    load: async () => (await import('./listen.ts')).listen,
  },
  {
    usage: 'dial <PEER:PORT> [PORT]',
    summary: 'open a stream: standard input and output become its two ways',
    speaksOnStderr: true,
    load: async () => (await import('./dial.ts')).dial,
  },
  {
    usage: 'bench <PEER>',
    summary: 'how fast bytes go to a node and back',
    load: async () => (await import('./bench.ts')).bench,
  },
  {
    usage: 'service <MANAGER>',
    summary: 'a unit for systemd, or an agent for launchd',
    load: async () => (await import('./service.ts')).service,
  },
  {
    usage: 'completion <SHELL>',
    summary: 'completion for bash or zsh',
    load: async () => (await import('./completion.ts')).completion,
  },
  {
    usage: 'help [COMMAND] [ACTION]',
    summary: 'what there is to know about a command, as with --help',
    load: async () => (await import('./help.ts')).help,
  },
];
