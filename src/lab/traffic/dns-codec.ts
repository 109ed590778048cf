/**
 * As much of DNS as a burst of queries needs.
 *
 *     0..1 id   2..3 flags (bit 15: answer)   4..5 questions   6..7 answers   8..11 zero
 *     12..      the name in labels, then type and class
 *
 * Pure. Source: RFC 1035 §4.1.
 */

export const DNS_HEADER_BYTES = 12;
const FLAGS_QUERY = 0x0100; // recursion desired
const FLAGS_ANSWER = 0x8180;
const TYPE_A = 1;
const CLASS_IN = 1;
const POINTER_TO_NAME = 0xc00c;
const TTL_SEC = 60;
/** What every name resolves to. */
export const ANSWER_ADDRESS: readonly number[] = [192, 0, 2, 53];

/** Returns a query for the IPv4 address of `name`. */
export function makeDnsQuery(id: number, name: string): Buffer {
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  const buffer = Buffer.alloc(DNS_HEADER_BYTES + labels.length + 5);
  buffer.writeUInt16BE(id, 0);
  buffer.writeUInt16BE(FLAGS_QUERY, 2);
  buffer.writeUInt16BE(1, 4);
  buffer.set([...labels, 0], DNS_HEADER_BYTES);
  buffer.writeUInt16BE(TYPE_A, buffer.length - 4);
  buffer.writeUInt16BE(CLASS_IN, buffer.length - 2);
  return buffer;
}

/** Returns the answer, or undefined for what is no query. */
export function answerDnsQuery(query: Buffer): Buffer | undefined {
  if (query.length <= DNS_HEADER_BYTES || (query.readUInt16BE(2) & 0x8000) !== 0) return undefined;
  const answer = Buffer.alloc(query.length + 16);
  query.copy(answer);
  answer.writeUInt16BE(FLAGS_ANSWER, 2);
  answer.writeUInt16BE(1, 6);
  answer.writeUInt16BE(POINTER_TO_NAME, query.length);
  answer.writeUInt16BE(TYPE_A, query.length + 2);
  answer.writeUInt16BE(CLASS_IN, query.length + 4);
  answer.writeUInt32BE(TTL_SEC, query.length + 6);
  answer.writeUInt16BE(ANSWER_ADDRESS.length, query.length + 10);
  answer.set(ANSWER_ADDRESS, query.length + 12);
  return answer;
}

/** Returns whether `answer` answers exactly this query. */
export function isDnsAnswer(query: Buffer, answer: Buffer): boolean {
  const expected = answerDnsQuery(query);
  return expected?.equals(answer) === true;
}
