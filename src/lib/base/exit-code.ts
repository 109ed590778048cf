/** Exit codes of every `flowlift` command. Pure. */

export const EXIT_HELD = 0;
/** A claim or a test failed. */
export const EXIT_CLAIM_FAILED = 1;
/** The command line is wrong. */
export const EXIT_USAGE = 2;
/** The machine lacks something; the message names it. */
export const EXIT_ENVIRONMENT = 3;
