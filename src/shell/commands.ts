/** The commands of both modes, with their help. Pure. */

export const OPERATIONAL = {
  configure: "edit the configuration",
  show: "show configuration|state|history [PATH] [| display FORM]",
  exit: "leave",
  help: "this list",
} as const;

export const CONFIGURATION = {
  set: "set PATH [VALUE]: create or change",
  delete: "delete PATH: remove",
  show: "show [PATH] [| display tree|set|table|json|xml]: the candidate",
  compare: "compare [N]: the candidate against running, or against N commits ago",
  preview: "what a commit would do: rules and live connections",
  commit: "commit [check | confirmed [MINUTES] | comment TEXT]",
  confirm: "make a confirmed commit final",
  rollback: "rollback N: load the configuration of N commits ago (0: running)",
  discard: "forget all changes",
  load: "load merge|replace FILE: RFC 7951 JSON or XML",
  save: "copy running to startup",
  edit: "edit PATH: go down",
  up: "go up",
  top: "go to the top",
  run: "run COMMAND: a command of the operational mode",
  exit: "leave the configuration mode",
  help: "this list",
} as const;

/** Returns one line for each command. */
export function formatHelp(commands: Readonly<Record<string, string>>): string[] {
  return Object.entries(commands).map(([name, text]) => `  ${name.padEnd(10)} ${text}`);
}
