/** What can go wrong with nftables. Pure. */
import { FlowliftError } from "../base/errors.ts";

/** The kernel or the library refused. Nothing was changed: nft transactions are all-or-nothing. */
export class NftApplyError extends FlowliftError {
  override readonly name = "NftApplyError";
  readonly tableName: string;
  /** What the library said, first lines only. */
  readonly reason: string;

  constructor(tableName: string, reason: string, options?: { readonly cause?: unknown }) {
    super("NFT_APPLY_REJECTED", `Cannot apply ruleset to table "${tableName}": ${reason}`, options);
    this.tableName = tableName;
    this.reason = reason;
  }
}
