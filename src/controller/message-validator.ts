/**
 * Turns the serial port's bytes into requests, and wrong bytes into the right error.
 *
 * Effect: calls libyang. The decoder checks everything that flowlift-offload says (a differential test
 * holds it equal to libyang); what it refuses is shown to libyang too, which gives path and message.
 */
import { findProjectRoot } from "../lib/base/project-root.ts";
import { err, type Result } from "../lib/base/result.ts";
import { type ErrorTag, malformedMessage, type RpcError } from "../lib/netconf/rpc-error.ts";
import { YangContext } from "../lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../lib/yang/yang-directories.ts";
import type { FlowPlaces } from "../offload-protocol/cbor-decode-request.ts";
import { decodeRpc as decodeCborRpc } from "../offload-protocol/codec-cbor.ts";
import { decodeRpc, type ReceivedRpc, type RpcRefusal } from "../offload-protocol/codec-xml.ts";
import type { Encoding } from "../offload-protocol/hello.ts";

/** What concerns the envelope, which libyang does not judge as we must. */
const ENVELOPE_TAGS: readonly ErrorTag[] = [
  "missing-attribute",
  "bad-attribute",
  "unknown-attribute",
  "too-big",
];

/** Reads messages; `disagreements` is how often libyang accepted what the decoder refused. */
export class MessageValidator {
  readonly #context: YangContext;
  #disagreements = 0;

  /** Throws NATIVE_LIBRARY_MISSING or YANG_MODULE_UNLOADABLE. */
  constructor() {
    this.#context = YangContext.create({
      searchDirectories: defaultYangDirectories(findProjectRoot()),
      modules: [{ name: "flowlift-offload" }],
    });
  }

  get disagreements(): number {
    return this.#disagreements;
  }

  /** `places` is told where flows stand in a CBOR message. */
  decode(
    bytes: Uint8Array,
    encoding: Encoding = "xml",
    places?: FlowPlaces,
  ): Result<ReceivedRpc, RpcRefusal> {
    if (encoding === "cbor") return this.#decodeCbor(bytes, places);
    const decoded = decodeRpc(bytes);
    if (decoded.ok) return decoded;
    const { messageId, error } = decoded.error;
    return err({ messageId, error: this.#explain(bytes, error) });
  }

  /** A refused message is explained by what it says in XML. */
  #decodeCbor(bytes: Uint8Array, places?: FlowPlaces): Result<ReceivedRpc, RpcRefusal> {
    const decoded = decodeCborRpc(bytes, places);
    if (decoded.ok) return decoded;
    const { messageId, error, xml } = decoded.error;
    return err({ messageId, error: xml === undefined ? error : this.#explain(xml, error) });
  }

  close(): void {
    this.#context.destroy();
  }

  #explain(bytes: Uint8Array, error: RpcError): RpcError {
    if (ENVELOPE_TAGS.includes(error.tag)) return error;
    const parsed = this.#context.parseNetconfRpc(bytes);
    if (parsed.ok) {
      parsed.value.free();
      this.#disagreements++;
      return malformedMessage(error.message);
    }
    const { path, appTag, message, malformed } = parsed.error;
    if (malformed === true) return malformedMessage(message);
    return {
      ...error,
      message,
      ...(path === undefined ? {} : { path }),
      ...(appTag === undefined ? {} : { appTag }),
    };
  }
}
