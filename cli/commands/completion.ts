import { quoteText } from '../../daemon/escape.ts';
import { type Command, wordsOf } from '../command.ts';
import { GLOBAL_OPTIONS, GROUPS } from '../common.ts';
import { UsageError } from '../usage-error.ts';
import { COMMANDS } from './index.ts';

export const completion: Command = {
  positionals: { SHELL: 'bash or zsh' },
  examples: [
    ['source <(warren completion bash)', 'in ~/.bashrc'],
    ['source <(warren completion zsh)', 'in ~/.zshrc, behind compinit'],
  ],
  async run({ args, output }) {
    const shell = args.required('SHELL');
    if (shell !== 'bash' && shell !== 'zsh') {
      throw new UsageError(`there is no completion for ${quoteText(shell)}`, 'say bash or zsh');
    }
    const choices = await collectChoices();
    const script = shell === 'bash' ? bashScript(choices) : zshScript(choices);
    output.result({ shell, script }, () => script.trimEnd());
    return 0;
  },
};

interface Choice {
  readonly word: string;
  readonly what: string;
}

/** What may follow the words so far: `''` for none, `peer` for `warren peer`. */
type Choices = ReadonlyMap<string, readonly Choice[]>;

/** The script holds all that can be completed, so that no process is started at every press of the key. */
async function collectChoices(): Promise<Choices> {
  const choices = new Map<string, Choice[]>();
  const single = COMMANDS.filter((entry) => wordsOf(entry).length === 1);
  choices.set('', [
    ...single.map((entry) => ({ word: wordsOf(entry)[0]!, what: entry.summary })),
    ...Object.entries(GROUPS).map(([word, what]) => ({ word, what })),
  ]);
  for (const group of Object.keys(GROUPS)) {
    const actions = COMMANDS.filter((entry) => entry.usage.startsWith(`${group} `));
    choices.set(
      group,
      actions.map((entry) => ({ word: wordsOf(entry)[1]!, what: entry.summary })),
    );
  }
  for (const entry of COMMANDS) {
    const { options = {} } = await entry.load();
    const all = Object.entries({ ...options, ...GLOBAL_OPTIONS });
    const own = WORDS[wordsOf(entry).join(' ')] ?? [];
    choices.set(wordsOf(entry).join(' '), [
      ...own.map((word) => ({ word, what: '' })),
      ...all.map(([name, { describe }]) => ({ word: `--${name}`, what: describe })),
    ]);
  }
  return choices;
}

const WORDS: Readonly<Record<string, readonly string[]>> = {
  service: ['systemd', 'launchd'],
  completion: ['bash', 'zsh'],
  help: [...new Set(COMMANDS.map((entry) => wordsOf(entry)[0]!))],
};

/** The words before the one that is typed, up to two of them, choose the list; options among them do not count. */
const FIND_KEY = `  local key= word count=0 previous=
  for word in "\${before[@]}"; do
    case "$previous,$word" in
      --socket,*|--state,*|*,-*) ;;
      *) [ $count -lt 2 ] && key="\${key:+$key }$word"; count=$((count + 1)) ;;
    esac
    previous=$word
  done`;

function bashScript(choices: Choices): string {
  const cases = [...choices].map(([key, list]) => `    ${casePattern(key)}) list='${words(list)}' ;;\n`);
  return `# bash completion for warren
_warren() {
  local list= before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
${FIND_KEY}
  case "$key" in
${cases.join('')}  esac
  local current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=($(compgen -W "$list" -- "$current"))
  [ \${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _warren warren
`;
}

function zshScript(choices: Choices): string {
  const cases = [...choices].map(([key, list]) => `    ${casePattern(key)}) list=(${described(list)}) ;;\n`);
  return `#compdef warren
_warren() {
  local -a list before
  before=("\${(@)words[2,CURRENT-1]}")
${FIND_KEY}
  case "$key" in
${cases.join('')}  esac
  _describe 'warren' list || _files
}
compdef _warren warren
`;
}

/** A command of one word is followed by what it is about: \`ping alice\` still completes options of \`ping\`. */
function casePattern(key: string): string {
  if (key === '') return "''";
  return key.includes(' ') || Object.hasOwn(GROUPS, key) ? `'${key}'` : `'${key}'|'${key} '*`;
}

function words(list: readonly Choice[]): string {
  return list.map(({ word }) => word).join(' ');
}

/** `word:what` for _describe, in single quotes: neither may hold the other's mark. */
function described(list: readonly Choice[]): string {
  return list.map(({ word, what }) => `'${word}:${what.replaceAll(':', ' ').replaceAll("'", "'\\''")}'`).join(' ');
}
