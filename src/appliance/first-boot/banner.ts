/**
 * What the console shows: version, addresses, host key, how to connect, and what went wrong.
 *
 * Pure.
 */

export interface BannerFacts {
  readonly version: string;
  readonly hostname: string;
  readonly addresses: readonly { readonly interface: string; readonly address: string }[];
  readonly netconfPort: number;
  readonly users: readonly string[];
  /** `SHA256:…` */
  readonly hostKeyFingerprint: string;
  readonly keyCount: number;
  /** Shown while no key exists. */
  readonly installCode: string | undefined;
  readonly problems: readonly string[];
}

const LINE_CHARACTERS = 78;

/** Returns the banner; nothing from outside can move the cursor or change the console. */
export function formatBanner(facts: BannerFacts): string {
  const { addresses, hostKeyFingerprint, hostname, installCode, keyCount, netconfPort } = facts;
  const [user = "admin"] = facts.users;
  const lines = [
    "-".repeat(LINE_CHARACTERS),
    `Flowlift ${facts.version}  ${hostname}`,
    `SSH host key: ${hostKeyFingerprint} (ED25519)`,
  ];
  const shown = addresses.map((item) => `${item.address} (${item.interface})`).join("  ");
  lines.push(`Addresses:    ${shown === "" ? "none yet" : shown}`);
  lines.push(
    `NETCONF:      ssh -s -p ${netconfPort} ${user}@ADDRESS netconf, keys only; ${keyCount} installed`,
  );
  if (installCode === undefined) {
    lines.push("Without NIC:  on the host: ./flowlift connect TENANT/NAME --stdio");
  } else {
    lines.push(
      "Nobody can log in yet: no key is installed. On the host, install the first one with",
    );
    lines.push(
      `  ./flowlift connect TENANT/NAME --install-key ~/.ssh/id_ed25519.pub --code ${installCode}`,
    );
  }
  if (facts.problems.length > 0) {
    lines.push(
      "PROBLEMS of first boot (also in NETCONF: /flowlift-system:appliance/state/first-boot):",
    );
    lines.push(...facts.problems.map((problem) => `  * ${problem}`));
  }
  lines.push("-".repeat(LINE_CHARACTERS));
  return `\n${lines.map(makePrintable).join("\n")}\n`;
}

function makePrintable(line: string): string {
  return line.replaceAll(/[^\x20-\x7e]/g, "?");
}
