import { WarrenError } from '../base/errors.ts';

/**
 * What has the system run a daemon for its user, from login on (or from boot on, where the system is told so): a unit for systemd's
 * user manager, a launch agent for launchd. Text only; the command line says where it belongs.
 */
export type ServiceManager = 'systemd' | 'launchd';

export interface ServiceOptions {
  /** Absolute paths of the program and of its first argument, the script. */
  readonly node: string;
  readonly script: string;
  /** Flags of `warren up`, with absolute paths. */
  readonly flags: readonly string[];
  /** Of the user. */
  readonly home: string;
}

export interface ServiceFile {
  /** Where the manager looks for it. */
  readonly path: string;
  readonly content: string;
  /** What to type once it stands there, in that order. */
  readonly commands: readonly string[];
}

export function serviceFile(manager: ServiceManager, options: ServiceOptions): ServiceFile {
  const command = [options.node, options.script, 'up', ...options.flags];
  for (const word of command) refuseControlCharacters(word);
  return manager === 'systemd' ? systemdUnit(command, options) : launchAgent(command, options);
}

const LABEL = 'org.warren.daemon';

/**
 * The hardening is what a user's own manager can do without privileges and without user namespaces, which many systems forbid:
 * there, `ProtectSystem=` and its like keep a unit from starting. MemoryDenyWriteExecute is left out because the JavaScript
 * engine writes machine code.
 */
function systemdUnit(command: readonly string[], { home }: ServiceOptions): ServiceFile {
  const content = `[Unit]
Description=warren: a permanent address and encrypted tunnels for this user's programs
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart=${command.map(systemdWord).join(' ')}
Restart=on-failure
RestartSec=2
# Wrong settings stay wrong.
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec=15
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=default.target
`;
  return {
    path: `${home}/.config/systemd/user/warren.service`,
    content,
    commands: [
      'systemctl --user daemon-reload',
      'systemctl --user enable --now warren.service',
      // Without it a user's services end with the last session.
      'loginctl enable-linger',
    ],
  };
}

/** systemd.service(5), "Command lines", and systemd.unit(5), "Specifiers". */
function systemdWord(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return /^[A-Za-z0-9_./@%+=:,-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}

/** launchd.plist(5). It moves no log aside, so the daemon writes its own. */
function launchAgent(command: readonly string[], { home, flags }: ServiceOptions): ServiceFile {
  const hasLog = flags.some((flag) => flag === '--log-file' || flag.startsWith('--log-file='));
  const words = hasLog ? command : [...command, '--log-file', `${home}/Library/Logs/warren.log`];
  const content = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words.map((word) => `    <string>${xmlText(word)}</string>\n`).join('')}  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>15</integer>
  <key>ProcessType</key>
  <string>Interactive</string>
  <key>Umask</key>
  <integer>63</integer>
</dict>
</plist>
`;
  const path = `${home}/Library/LaunchAgents/${LABEL}.plist`;
  return { path, content, commands: [`launchctl bootstrap gui/$(id -u) ${path}`] };
}

function xmlText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Neither format can say them in a path, and a line break would begin a setting of its own. */
function refuseControlCharacters(word: string): void {
  if (!/\p{Cc}/u.test(word)) return;
  throw new WarrenError(
    'ERR_WARREN_SERVICE_PATH',
    'a path or flag with control characters cannot stand in a service file',
    'use directories with plain names',
  );
}
